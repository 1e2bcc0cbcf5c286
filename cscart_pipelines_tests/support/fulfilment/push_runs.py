"""What the tests of the push jobs share: synchronised shops with updates switched on, rows for the
inboxes, and runs of the jobs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines_tests.support.dagster.location import Deployment, location

ON: dict[str, Any] = {
    "update_tracking_number": True,
    "update_tracking_url": True,
    "update_stock": True,
    "stock_schedule": "0 * * * *",
}


@contextmanager
def pushable_shop(deployment: Deployment, key: str, **values: Any) -> Iterator[SandboxShop]:
    """A shop with two orders (1001 and 1002 of two and one pieces), synchronised."""
    with SandboxShop("4.20", catalogue="small") as shop:
        for _ in range(2):
            shop.store.place_order(lines=[(1, 2), (2, 1)])
        deployment.connect(key, shop, **{**ON, **values})
        assert deployment.resync(key).success
        yield shop


def order_numbers(shop: SandboxShop) -> list[str]:
    return [str(order_id) for order_id in sorted(shop.store.orders)]


def ship(deployment: Deployment, key: str, number: str, tracking: str, **values: Any) -> None:
    """A row into the inbox, by SQL as anybody may."""
    row = {"integration": key, "order_number": number, "tracking_number": tracking, **values}
    columns, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    deployment.execute(
        f"INSERT INTO fulfilment.shipments ({columns}) VALUES ({marks})", *row.values()
    )


def stock(deployment: Deployment, key: str, sku: str, quantity: int) -> None:
    deployment.execute(
        "INSERT INTO fulfilment.stock_levels (integration, sku, quantity) VALUES (%s, %s, %s)",
        key, sku, quantity,
    )  # fmt: skip


def run(deployment: Deployment, job: str, **config: Any) -> dg.ExecuteInProcessResult:
    """One run with this form filled in."""
    return (
        location()
        .resolve_job_def(job)
        .execute_in_process(instance=deployment.instance, run_config=config, raise_on_error=False)
    )


def shown(deployment: Deployment, run_id: str, step: str) -> dict[str, Any]:
    """Metadata of the output of a step."""
    for entry in deployment.instance.all_logs(run_id, dg.DagsterEventType.STEP_OUTPUT):
        event = entry.get_dagster_event()
        if event.step_key == step:
            return {name: value.value for name, value in event.step_output_data.metadata.items()}
    raise AssertionError(f"{step} gave no output")


def failure_of(result: dg.ExecuteInProcessResult) -> dg.DagsterEvent:
    (event,) = [one for one in result.all_events if one.is_step_failure]
    return event


def verdicts(deployment: Deployment, run_id: str) -> dict[str, bool]:
    """What the checks of fulfilment said in a run."""
    return {
        evaluation.check_name: evaluation.passed
        for entry in deployment.instance.all_logs(
            run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION
        )
        if (evaluation := entry.get_dagster_event().asset_check_evaluation_data)
    }
