"""What waits for which shop, and whether it may be pushed now.

Reads the warehouse and the drop folder only; no shop is asked. Sensors, jobs and the command line
use the same answers. Not here: when the sensors ask again (`defs.fulfilment.stock_schedule`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.fulfilment import journal, last_push_runs, push_session
from cscart_pipelines.fulfilment.feeds import drop_folder
from cscart_pipelines.fulfilment.journal import Kind
from cscart_pipelines.fulfilment.push_session import PushKind
from cscart_pipelines.fulfilment.shipments import deferred_orders
from cscart_pipelines.fulfilment.shipments import inbox as shipments_inbox
from cscart_pipelines.fulfilment.stock import inbox as stock_inbox
from cscart_pipelines.integrations.lifecycle import Action, rejection_reason
from cscart_pipelines.integrations.registry import Integration
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines.warehouse.driver import Connection

WRITES: dict[PushKind, tuple[Kind, ...]] = {
    "shipments": (Kind.SHIPMENT, Kind.ORDER_STATUS),
    "stock": (Kind.STOCK,),
}
"""The kinds of journal entries that a push makes."""


def pushable(app: AppContext, kind: PushKind, keys: Collection[str]) -> list[str]:
    """Returns those of the integrations that are switched on, and whose status allows a push."""
    return [
        one.key
        for one, standing in app.registry.standings(keys)
        if not push_session.disabled_reason(kind, one.settings)
        and rejection_reason(Action.PUSH, standing) is None
    ]


def waiting(app: AppContext, connection: Connection, kind: PushKind) -> dict[str, str]:
    """Returns what waits for each integration that may be pushed to now.

    Args:
        app: for the registry and the drop folder.
        connection: to the warehouse.
        kind: shipments or stock.

    Returns:
        A digest by integration, which changes when what waits changes: rows, unfinished writes,
        files, and the failures of the last push.
    """
    shipments = kind == "shipments"
    versions = shipments_inbox.waiting_versions if shipments else stock_inbox.waiting_versions
    found: dict[str, list[str]] = {}
    for key, text in [
        *versions(connection).items(),
        *journal.open_versions(connection, WRITES[kind]).items(),
        *_files(app, app.registry.all()),
    ]:
        found.setdefault(key, []).append(text)
    due = last_push_runs.due(connection, kind)
    found = {key: texts for key, texts in found.items() if key in due}
    # Of itself a failure is nothing that waits, but what waits is tried again after it.
    failures = [("failures", last_push_runs.failures(connection, kind))]
    if shipments:
        failures.append(("deferred", deferred_orders.failures_of_due(connection)))
    for name, counts in failures:
        for key in found.keys() & counts.keys():
            found[key].append(f"{name} {counts[key]}")
    return {key: _digest(found[key]) for key in pushable(app, kind, found)}


def busy(connection: Connection, keys: Collection[str]) -> set[str]:
    """Returns the integrations whose shop is being written to at this moment."""
    return set(advisory.holders(connection, Lock.SHOP_WRITE, keys))


def open_rows(connection: Connection, key: str, kind: PushKind) -> int:
    """Returns how many rows of the inbox a push settles."""
    if kind == "shipments":
        return shipments_inbox.waiting_count(connection, key)
    return stock_inbox.waiting_count(connection, key)


def held_rows(connection: Connection, key: str, kind: PushKind) -> int:
    """Returns how many rows of the inbox wait for a person."""
    return 0 if kind == "shipments" else stock_inbox.held_count(connection, key)


def open_work(app: AppContext, key: str, kind: PushKind, *, files: bool = True) -> int:
    """Returns how many rows, unfinished writes and, with `files`, files wait for a push."""
    found = [
        path
        for path in (drop_folder.waiting_files(app.settings, [key]) if files else ())
        if drop_folder.owner_of(app.settings, path) == (key, kind)
    ]
    with app.warehouse.connect(autocommit=True) as connection:
        rows = open_rows(connection, key, kind)
        if kind == "stock":  # by now the shop may know them
            rows += stock_inbox.unknown_count(connection, key)
        return rows + len(found) + journal.open_count(connection, key, WRITES[kind])


def _files(app: AppContext, integrations: Iterable[Integration]) -> list[tuple[str, str]]:
    keys = [one.key for one in integrations]
    found = []
    for path in drop_folder.waiting_files(app.settings, keys):
        try:
            changed = path.stat().st_mtime_ns
        except OSError:  # taken at this moment
            continue
        key, kind = drop_folder.owner_of(app.settings, path)
        found.append((key, f"{kind}/{path.name} {changed}"))
    return found


def _digest(texts: list[str]) -> str:
    return hashlib.blake2b("\n".join(sorted(texts)).encode(), digest_size=8).hexdigest()
