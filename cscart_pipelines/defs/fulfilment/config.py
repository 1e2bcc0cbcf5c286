"""The forms of the launchpad for pushes: one for each job, passed on to its steps.

Not here: what the steps do with it (`jobs`).
"""

# Without `from __future__ import annotations`: Dagster reads the annotations as they are.
import dagster as dg
from pydantic import Field

from cscart_pipelines.fulfilment.push_session import PushKind


class PushConfig(dg.Config):
    """What is pushed."""

    integration: str | None = Field(
        default=None,
        description="Key of one integration. The run waits up to ten minutes for its turn, and"
        " fails if this integration may not be pushed to. Empty: all that are due.",
    )
    dry_run: bool = Field(
        default=False,
        description="Only compare: nothing is written, neither to the shop nor to the"
        " inbox. Files in the drop folder stay where they are.",
    )
    limit: int | None = Field(
        default=None,
        ge=1,
        description="At most this many orders (or stock levels) of each integration; the rest waits"
        " for the next run. Empty: all.",
    )
    only: list[str] = Field(
        default_factory=list,
        description="Set by the sensors: only these integrations, as far as pushes are allowed.",
    )
    files: bool = Field(
        default=True,
        description="Take the files of the drop folder in first.",
    )


class StockConfig(PushConfig):
    """What is pushed, and whether a held feed is let through."""

    release: bool = Field(
        default=False,
        description="Apply what the circuit breaker holds when the run starts. Look at it with a"
        " dry run first. Files in the drop folder stay where they are.",
    )


class StepConfig(StockConfig):
    """What the steps of both jobs get: the form, and what is pushed."""

    kind: PushKind = Field(description="shipments or stock")


def _steps(config: PushConfig, kind: PushKind, push: str) -> dg.RunConfig:
    shared = {name: getattr(config, name) for name in type(config).model_fields}
    step = StepConfig(kind=kind, **shared)
    return dg.RunConfig(ops={"ingest_drop_folder": step, push: step})


@dg.config_mapping
def tracking_form(config: PushConfig) -> dg.RunConfig:
    """Returns the form of `push_tracking` as the configuration of its steps."""
    return _steps(config, "shipments", "push_shipments")


@dg.config_mapping
def stock_form(config: StockConfig) -> dg.RunConfig:
    """Returns the form of `push_stock` as the configuration of its steps."""
    return _steps(config, "stock", "push_levels")
