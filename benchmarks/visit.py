"""From the event to the list: how long a new account takes from the browser into the segments.

On an instance as `make up` runs it: collector, sensors and daemon are its own processes, and
nothing is started by hand. The shop has the account before the event says so, as in life. First
alone, then while `OTHERS` slow shops are read whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import requests
from pydantic import SecretStr

from benchmarks.support.options import Options
from benchmarks.support.report import Aim, Report, Table
from benchmarks.support.running_instance import running_instance
from benchmarks.support.temporary_warehouse import TemporaryWarehouse, temporary_warehouse
from cscart_pipelines.integrations.connection import test_connection
from cscart_pipelines.integrations.registry import Registry
from cscart_pipelines.integrations.settings import check
from cscart_pipelines.integrations.sync_runs.requested import request_sync
from cscart_pipelines.onsite.write_keys import write_key
from cscart_pipelines.sandbox.server import SandboxShop

LIST_SECONDS = 120
GIVEN_UP = 900
KEY = "visited"
OTHERS = 50
LATENCY = 0.5
"""Seconds that each of the other shops takes for an answer."""
COLUMNS = (
    "shops beside", "visit", "of them read meanwhile", "into the warehouse, s", "into the list, s",
    "into the segments, s", "load",
)  # fmt: skip


def run(options: Options) -> Report:
    table = Table(
        "A new account, from the event to the list", COLUMNS,
        note="seconds since the collector's acknowledgement, waiting for sensors included",
    )  # fmt: skip
    for others in (0,) if options.quick else (0, OTHERS):
        options.say(f"starting an instance with {others} shops beside")
        table.rows.extend(_visits(options, others))
    slowest = max(float(row[4] or 0) for row in table.rows)
    return Report("visit", [table], [Aim("s from event to list", LIST_SECONDS, slowest)])


def _visits(options: Options, others: int) -> Iterator[tuple[float, ...]]:
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(temporary_warehouse())
        shop = stack.enter_context(SandboxShop())
        beside = {
            f"beside-{number:02}": stack.enter_context(SandboxShop()) for number in range(others)
        }
        instance = stack.enter_context(running_instance(place))
        connection = stack.enter_context(place.warehouse.connect(autocommit=True))
        for key, one in {KEY: shop, **beside}.items():
            _connect(place, connection, key, one)
        for one in beside.values():
            one.faults.add("latency", count=None, seconds=LATENCY)
        events = f"{instance.collector}/v1/events/{write_key(connection, KEY)}"
        for number in range(1, 1 + (1 if options.quick else 3)):
            if beside:
                request_sync(connection, list(beside), full=True)
                _until(connection, "SELECT FROM registry.sync_runs WHERE state = 'running'")
            options.say(f"visit {number}")
            began = time.time()
            seconds = _visit(connection, shop, events)
            read = connection.execute(
                "SELECT count(DISTINCT integration) FROM registry.sync_runs"
                " WHERE integration <> %s AND coalesce(finished_at, now()) > to_timestamp(%s)",
                [KEY, began],
            ).fetchone()
            assert read
            yield (others, number, read[0], *seconds)


def _connect(
    place: TemporaryWarehouse, connection: psycopg.Connection[Any], key: str, shop: SandboxShop
) -> None:
    """An enabled integration; nothing has been read yet, and no list was ever built."""
    settings = check({"integration": key, "list_name": key, "url": shop.url, "email": shop.email})
    secret = SecretStr(shop.api_key)
    registry = Registry(place.warehouse, place.settings)
    registry.add(settings, secret, test_connection(settings, secret).model_dump(mode="json"))
    with connection.transaction():
        for change in ("status = 'syncing'", "status = 'enabled', first_synced_at = now()"):
            connection.execute(
                f"UPDATE registry.integrations SET {change} WHERE integration = %s".encode(), [key]
            )


def _visit(
    connection: psycopg.Connection[Any], shop: SandboxShop, events: str
) -> tuple[float, float, float, float]:
    email = f"{secrets.token_hex(6)}@mail.internal"
    shop.store.add_customer(email)
    now = time.time_ns() // 1_000_000
    event = {"id": secrets.token_urlsafe(16), "name": "sign_up", "at": now, "page": "/index.php"}
    batch = {
        "v": 1,
        "sent_at": now,
        "visitor": secrets.token_urlsafe(16),
        "identity": {"email_sha256": hashlib.sha256(email.encode()).hexdigest()},
        "events": [event],
    }
    while True:
        answer = requests.post(
            events, json=batch, timeout=30,
            headers={"Origin": shop.url, "User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"},
        )  # fmt: skip
        if answer.status_code == 204:
            break
        if answer.status_code not in (404, 503):  # it may not know the key yet
            raise RuntimeError(f"the collector answered {answer.status_code}")
        time.sleep(0.1)
    began = time.monotonic()
    seen = [
        round(_until(connection, query, email) - began, 1)
        for query in (
            "SELECT FROM cscart.customers WHERE email = %s",
            "SELECT FROM analytics.subscribers WHERE identity = %s",
            "SELECT FROM analytics.segment_members WHERE identity = %s",
        )
    ]
    return seen[0], seen[1], seen[2], round(os.getloadavg()[0], 1)


def _until(connection: psycopg.Connection[Any], query: str, *values: str) -> float:
    """When the query first gave a row, on the monotonic clock."""
    ends = time.monotonic() + GIVEN_UP
    while time.monotonic() < ends:
        # The lists may not have been built yet.
        with contextlib.suppress(psycopg.errors.UndefinedTable):
            if connection.execute(query.encode(), values).fetchall():
                return time.monotonic()
        time.sleep(0.2)
    raise RuntimeError(f"nothing came within {GIVEN_UP} s: {query}")
