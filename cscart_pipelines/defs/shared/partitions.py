"""One partition for each integration that is not disabled.

Not here: adding and deleting them (`ingestion.sensors`, `launcher`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import dagster as dg

from cscart_pipelines.integrations.lifecycle import Status
from cscart_pipelines.integrations.registry import Integration

NAME = "integration"


class _Integrations(dg.DynamicPartitionsDefinition):
    """Partitions that may go while a run over a range of them waits."""

    def get_partition_keys_in_range(
        self, partition_key_range: dg.PartitionKeyRange
    ) -> Sequence[str]:
        """Returns the keys of a range; of one that has lost an end, the other end only.

        Dagster reads the range of every run, also before its step begins, and would fail the run.
        """
        ends = dict.fromkeys((partition_key_range.start, partition_key_range.end))
        there = [key for key in ends if self.has_partition_key(key)]
        if len(there) < len(ends):
            return there
        return super().get_partition_keys_in_range(partition_key_range)


integration_partitions = _Integrations(name=NAME)


def wanted(integrations: list[Integration]) -> list[str]:
    """Returns the partitions that should exist."""
    return [one.key for one in integrations if one.status is not Status.DISABLED]


def difference(integrations: list[Integration], present: list[str]) -> tuple[list[str], list[str]]:
    """Returns the partitions to add and those to delete."""
    want = wanted(integrations)
    return [k for k in want if k not in present], [k for k in present if k not in want]


def keys_of(context: dg.AssetExecutionContext, only: Collection[str] = ()) -> list[str]:
    """Returns the integrations of a run: the partitions that it was planned for, in their order.

    Not `context.partition_keys`, which reads the range anew: while the run waited, an integration
    at an end of it may have been removed, or disabled and enabled, which moves it to the end.

    Args:
        context: of the run.
        only: of the partitions, only these; all of these where the run was planned for none.
    """
    planned = context.instance.all_logs(
        context.run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    )
    keys = {entry.get_dagster_event().partition: None for entry in planned}
    found = [key for key in keys if key is not None and (not only or key in only)]
    return found if any(keys) else list(only)
