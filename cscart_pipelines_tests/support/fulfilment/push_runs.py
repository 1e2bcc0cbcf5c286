"""What the tests of pushes in the control room share: synchronised shops with updates switched on,
rows for the inboxes, and runs of the jobs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines_tests.support.dagster.location import ControlRoom, location

ON: dict[str, Any] = {
    "update_tracking_number": True,
    "update_tracking_url": True,
    "update_stock": True,
    "stock_schedule": "0 * * * *",
}


@contextmanager
def pushable_shop(room: ControlRoom, key: str, **values: Any) -> Iterator[SandboxShop]:
    """A shop with two orders (1001 and 1002 of two and one pieces), synchronised."""
    with SandboxShop("4.20", catalogue="small") as shop:
        for _ in range(2):
            shop.store.place_order(lines=[(1, 2), (2, 1)])
        room.connect(key, shop, **{**ON, **values})
        assert room.resync(key).success
        yield shop


def order_numbers(shop: SandboxShop) -> list[str]:
    return [str(order_id) for order_id in sorted(shop.store.orders)]


def ship(room: ControlRoom, key: str, number: str, tracking: str, **values: Any) -> None:
    """A row into the inbox, by SQL as anybody may."""
    row = {"integration": key, "order_number": number, "tracking_number": tracking, **values}
    columns, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    room.execute(f"INSERT INTO fulfilment.shipments ({columns}) VALUES ({marks})", *row.values())


def stock(room: ControlRoom, key: str, sku: str, quantity: int) -> None:
    room.execute(
        "INSERT INTO fulfilment.stock_levels (integration, sku, quantity) VALUES (%s, %s, %s)",
        key, sku, quantity,
    )  # fmt: skip


def run(room: ControlRoom, job: str, **config: Any) -> dg.ExecuteInProcessResult:
    """One run with this form filled in."""
    return (
        location()
        .resolve_job_def(job)
        .execute_in_process(instance=room.instance, run_config=config, raise_on_error=False)
    )


def shown(room: ControlRoom, run_id: str, step: str) -> dict[str, Any]:
    """Metadata of the output of a step."""
    for entry in room.instance.all_logs(run_id, dg.DagsterEventType.STEP_OUTPUT):
        event = entry.get_dagster_event()
        if event.step_key == step:
            return {name: value.value for name, value in event.step_output_data.metadata.items()}
    raise AssertionError(f"{step} gave no output")


def failure_of(result: dg.ExecuteInProcessResult) -> dg.DagsterEvent:
    (event,) = [one for one in result.all_events if one.is_step_failure]
    return event


def verdicts(room: ControlRoom, run_id: str) -> dict[str, bool]:
    """What the checks of fulfilment said in a run."""
    return {
        evaluation.check_name: evaluation.passed
        for entry in room.instance.all_logs(run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        if (evaluation := entry.get_dagster_event().asset_check_evaluation_data)
    }
