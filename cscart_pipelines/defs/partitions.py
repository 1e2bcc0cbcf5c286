"""One partition per integration: a shop's partition turning red is the shop's status Failed.

The partitions follow the registry: disabled and removed shops have none. Not here: who adds them
(the sensor, and whoever starts a run by hand).
"""

from __future__ import annotations

import dagster as dg

from cscart_pipelines.integrations.lifecycle import Status
from cscart_pipelines.integrations.registry import Integration

integration_partitions = dg.DynamicPartitionsDefinition(name="integration")
NAME = "integration"


def wanted(integrations: list[Integration]) -> list[str]:
    """The partitions that should exist."""
    return [one.key for one in integrations if one.status is not Status.DISABLED]


def difference(integrations: list[Integration], present: list[str]) -> tuple[list[str], list[str]]:
    """What to add and what to delete."""
    want = wanted(integrations)
    return [k for k in want if k not in present], [k for k in present if k not in want]
