"""Whose turn it is: what waits for which shop, and whether it may be pushed now.

Looks at the warehouse and the watched folder only; no shop is asked. The sensors and the jobs use
the same answers. Not here: when the sensors ask again (`write_back_clock`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from typing import Any

import psycopg

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.fulfilment import push_session
from cscart_pipelines.fulfilment.feeds import drop_folder
from cscart_pipelines.integrations.lifecycle import Action, rejection_reason
from cscart_pipelines.integrations.registry import Integration
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock

ROWS = {
    "shipments": """
        SELECT integration, concat_ws(' ', 'rows', count(*), max(received_at))
        FROM fulfilment.shipments AS waiting
        WHERE state = 'waiting' AND NOT EXISTS (
            SELECT FROM fulfilment.deferred_orders AS late
            WHERE late.integration = waiting.integration AND late.not_before > now()
              AND waiting.order_number = ANY(late.order_numbers))
        GROUP BY integration
    """,
    "stock": """
        SELECT integration, concat_ws(' ', 'rows', count(*), max(received_at))
        FROM fulfilment.stock_levels WHERE state = 'waiting' GROUP BY integration
    """,
}
ENTRIES = """
    SELECT integration, concat_ws(' ', 'entries', count(*), max(id), sum(attempts))
    FROM fulfilment.journal AS open
    WHERE state IN ('planned', 'applying', 'ambiguous') AND kind = ANY(%s) AND NOT EXISTS (
        SELECT FROM fulfilment.deferred_orders AS late
        WHERE late.integration = open.integration AND late.order_id = open.order_id
          AND late.not_before > now())
    GROUP BY integration
"""
KINDS = {"shipments": ["shipment", "order_status"], "stock": ["stock"]}
ROUNDS = """
    SELECT integration, concat_ws(' ', 'failures', failures)
    FROM fulfilment.last_push_runs WHERE kind = %s AND failures > 0
"""
PUT_OFF = """
    SELECT integration, concat_ws(' ', 'put off', sum(failures)) FROM fulfilment.deferred_orders
    WHERE not_before <= now() GROUP BY integration
"""


def pushable(app: AppContext, kind: push_session.PushKind, keys: Collection[str]) -> list[str]:
    """Those of the integrations that are switched on, and whose status allows it."""
    return [
        one.key
        for one, standing in app.registry.standings(keys)
        if not push_session.disabled_reason(kind, one.settings)
        and rejection_reason(Action.PUSH, standing) is None
    ]


def waiting(
    app: AppContext, connection: psycopg.Connection[Any], kind: push_session.PushKind
) -> dict[str, str]:
    """What waits for each integration that may be pushed to now, as a text that changes with it."""
    found: dict[str, list[str]] = {}
    for key, said in connection.execute(ROWS[kind].encode()).fetchall():
        found.setdefault(key, []).append(said)
    for key, said in connection.execute(ENTRIES, [KINDS[kind]]).fetchall():
        found.setdefault(key, []).append(said)
    for key, said in _files(app, app.registry.all()):
        found.setdefault(key, []).append(said)
    due = push_session.due(connection, kind)
    found = {key: said for key, said in found.items() if key in due}
    # Of itself a failure is nothing that waits, but what waits is tried again after it.
    again = connection.execute(ROUNDS, [kind]).fetchall()
    if kind == "shipments":
        again += connection.execute(PUT_OFF).fetchall()
    for key, said in again:
        if key in found:
            found[key].append(said)
    allowed = pushable(app, kind, found)
    return {key: _digest(found[key]) for key in allowed}


def failed(connection: psycopg.Connection[Any], kind: push_session.PushKind) -> set[str]:
    """Integrations whose last push failed."""
    return {row[0] for row in connection.execute(ROUNDS, [kind]).fetchall()}


def busy(connection: psycopg.Connection[Any], keys: Collection[str]) -> set[str]:
    """Integrations that somebody is writing to at this moment, whoever started it."""
    return set(advisory.holders(connection, Lock.SHOP_WRITE, keys))


def _files(app: AppContext, integrations: Iterable[Integration]) -> list[tuple[str, str]]:
    keys = [one.key for one in integrations]
    found = []
    for path in drop_folder.waiting_files(app.settings, keys):
        try:
            changed = path.stat().st_mtime_ns
        except OSError:  # somebody has just taken it
            continue
        key, kind = drop_folder.owner_of(app.settings, path)
        found.append((key, f"{kind}/{path.name} {changed}"))
    return found


def _digest(said: list[str]) -> str:
    return hashlib.blake2b("\n".join(sorted(said)).encode(), digest_size=8).hexdigest()
