"""Running dbt as users do, and filling the raw tables without a shop.

For the tests of the dbt project only. What the models should say is not here (`oracle`).
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import psycopg
import pytest
from dbt.cli.main import dbtRunner
from psycopg import sql
from psycopg.types.json import Jsonb

from cscart_pipelines.identity import region_of_zone
from cscart_pipelines.warehouse.contacts import store_contacts
from cscart_pipelines_tests import PROJECT_ROOT

PROJECT = PROJECT_ROOT / "dbt_project"
AS_OF = pd.Timestamp("2026-05-20T10:30:00Z")
"""The moment the test shops are looked at; no zone changes its clocks in the windows' hours."""
WITHOUT_TESTS = ("--exclude-resource-type", "test")
"""Models only, where nothing is said of the tests of dbt, which take a third of a build."""

Row = dict[str, Any]


class Database(Protocol):
    @property
    def dbt_env(self) -> dict[str, str]: ...

    def connect(self) -> contextlib.AbstractContextManager[psycopg.Connection[Any]]: ...


@pytest.fixture(scope="session")
def dbt_target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder per worker for what dbt parsed: the second run with the same vars is quicker.

    Each module that imports this fixture has it made anew, hence the fixed name.
    """
    target = tmp_path_factory.getbasetemp() / "dbt-target"
    target.mkdir(exist_ok=True)
    return target


@dataclass
class Shop:
    """The raw rows of one integration, and its settings."""

    integration: str
    settings: Row = field(default_factory=dict)
    customers: list[Row] = field(default_factory=list)
    orders: list[Row] = field(default_factory=list)
    order_lines: list[Row] = field(default_factory=list)
    products: list[Row] = field(default_factory=list)
    categories: list[Row] = field(default_factory=list)
    statuses: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    visitors: list[Row] = field(default_factory=list)
    site: Row = field(default_factory=dict)


def dbt(
    environment: Mapping[str, str] | None,
    *arguments: str,
    variables: Mapping[str, Any] | None = None,
    target: Path | None = None,
    expect: int = 0,
    project: Path = PROJECT,
    callbacks: Sequence[Callable[[Any], None]] = (),
) -> str:
    """Runs dbt in this process, where it is imported once; returns what it would print. Fails
    unless it exits as expected. As a process of its own it is in the tests of the command line.

    Args:
        variables: dbt parses the project anew for others than those of the run before in the same
            target, which takes as long as a build; the environment says the same without.
        target: Without one, the project is parsed.
    """
    with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("CSCART_PIPELINES_DBT")]:
            patch.delenv(name)
        for name, value in (environment or {}).items():
            patch.setenv(name, value)
        command = [
            # Its loggers look through the environment for secrets with every line that they drop.
            *("--log-level", "none", "--log-level-file", "none"),
            *arguments,
            *("--project-dir", str(project), "--profiles-dir", str(project)),
            *("--target-path", str(target or scratch), "--log-path", scratch),
        ]
        if variables:
            command += ["--vars", json.dumps(variables)]
        told: list[str] = []

        def listen(event: Any) -> None:
            if event.info.level != "debug":
                told.append(event.info.msg)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what dbt is made of is not ours to judge
            done = dbtRunner(callbacks=[listen, *callbacks]).invoke(command)
    said = "\n".join(told)
    code = 0 if done.success else 2 if done.exception else 1
    assert code == expect, f"{said[-8000:]} {done.exception or ''}"
    return said


def build(
    database: Database,
    as_of: pd.Timestamp | datetime | None = AS_OF,
    *arguments: str,
    only: Sequence[str] = (),
    **kw: Any,
) -> str:
    """Models and all data tests, of all integrations or of these; unit tests are a module apart.

    Both go by the environment, as the product does it: dbt then parses the project once. What it
    would write about the build takes a fifth of its time, and is not read."""
    environment = {
        **database.dbt_env,
        "CSCART_PIPELINES_DBT_INTEGRATIONS": ",".join(only),
        "CSCART_PIPELINES_DBT_MODELS": "these",
    }
    if as_of:
        environment["CSCART_PIPELINES_DBT_AS_OF"] = as_of.isoformat()
    left_out = [f"--exclude-resource-type={kind}" for kind in ("unit_test", "exposure")]
    return dbt(environment, "--no-write-json", "build", *left_out, *arguments, **kw)


@contextlib.contextmanager
def watched(database: Database, schema: str = "analytics") -> Iterator[Callable[[Any], None]]:
    """A callback for `dbt`: at each statement of the build, as dbt tells it, a second connection
    looks at every relation of the schema that there was when the build began. At the end fails if
    one was absent, or empty though it had rows."""
    missed: dict[str, str] = {}
    looks = 0
    with database.connect() as connection:
        names = [
            row[0]
            for row in connection.execute(
                "select relname from pg_class where relnamespace = to_regnamespace(%s)"
                " and relkind in ('r', 'v', 'm') order by 1",
                [schema],
            )
        ]
        assert names
        # A reader that waits for a lock has its relation; the lock is held by who calls back.
        connection.execute("set lock_timeout = 1")
        any_row = {name: f"exists (select from {schema}.{name})" for name in names}
        at_once = f"select {', '.join(any_row.values())}".encode()
        before = connection.execute(at_once).fetchone()
        assert before
        full = {name for name, found in zip(names, before, strict=True) if found}
        one_by_one = threading.Lock()

        def ask(query: bytes, asked: Sequence[str], moment: str) -> None:
            row = connection.execute(query).fetchone()
            assert row
            for name, found in zip(asked, row, strict=True):
                if name in full and not found:
                    missed.setdefault(name, f"empty after {moment}")

        def look(event: Any) -> None:
            nonlocal looks
            if event.info.name != "SQLQueryStatus":
                return
            with one_by_one:
                looks += 1
                try:
                    ask(at_once, names, event.info.msg)
                except psycopg.Error:  # which one?
                    for name in names:
                        try:
                            ask(f"select {any_row[name]}".encode(), [name], event.info.msg)
                        except psycopg.errors.LockNotAvailable:
                            pass
                        except psycopg.Error as error:
                            missed.setdefault(name, f"{error} after {event.info.msg}")

        yield look
    assert looks > len(names)
    assert not missed, missed


def insert(connection: psycopg.Connection[Any], table: str, rows: Iterable[Row]) -> None:
    """COPY; a column is what any of the rows has."""
    rows = list(rows)
    if not rows:
        return
    columns = sorted({name for row in rows for name in row})
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(*table.split(".")), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor().copy(statement) as copy:
        for row in rows:
            copy.write_row([row.get(name) for name in columns])


def load(database: Database, shops: Sequence[Shop]) -> None:
    """Registers the shops and writes their rows as a synchronisation would have."""
    with database.connect() as connection:
        for shop in shops:
            defaults: Row = {
                "integration": shop.integration,
                "list_name": f"List of {shop.integration}",
                "url": f"https://{shop.integration}.example",
                "email": "admin@shop.example",
                "status": "enabled",
                "last_synced_at": AS_OF.to_pydatetime(),
                "created_at": datetime.fromisoformat("2020-01-01T00:00:00+00:00"),
            }
            insert(connection, "registry.integrations", [defaults | shop.settings])
            for name in ("customers", "orders", "products", "categories", "statuses"):
                rows = [
                    {"integration": shop.integration, "content_hash": b""} | row
                    for row in getattr(shop, name)
                ]
                insert(connection, f"cscart.{name}", rows)
            lines = [{"integration": shop.integration} | row for row in shop.order_lines]
            insert(connection, "cscart.order_lines", lines)
            insert_visits(connection, shop)
            region = shop.settings.get("default_country")
            region = region or region_of_zone(shop.settings.get("timezone", "UTC"))
            store_contacts(connection, shop.integration, region)


def insert_visits(connection: psycopg.Connection[Any], shop: Shop) -> None:
    """What the collector would have written of the shop's events."""
    key = {"integration": shop.integration}
    events = [key | row | {"items": Jsonb(row.get("items"))} for row in shop.events]
    insert(connection, "onsite.events", events)
    insert(connection, "onsite.visitors", [key | row for row in shop.visitors])
    insert(connection, "onsite.sites", [key | shop.site] if shop.site else [])


def event(name: str, at: Any, visitor: str = "visitor-0000000001", **values: Any) -> Row:
    """A raw event with an id of its own."""
    moment = pd.Timestamp(at).tz_convert("UTC")
    return {
        "event_id": uuid.uuid4().hex,
        "day": moment.date(),
        "name": name,
        "occurred_at": moment.to_pydatetime(),
        "client_at": moment.to_pydatetime(),
        "visitor_id": visitor,
    } | values


def order(order_id: int, ordered_at: Any, **values: Any) -> Row:
    """A raw order: settled, 10.00, by a guest without an e-mail, unless told otherwise."""
    return {
        "order_id": order_id,
        "ordered_at": pd.Timestamp(ordered_at).to_pydatetime(),
        "is_parent_order": False,
        "status": "P",
        "total": "10.00",
        "has_details": True,
    } | values


def frame(database: Database, query: str) -> pd.DataFrame:
    """The answer, with money and other numerics as float."""
    with database.connect() as connection:
        cursor = connection.execute(query)
        assert cursor.description
        names = [column.name for column in cursor.description]
        numeric = [column.name for column in cursor.description if column.type_code == 1700]
        answer = pd.DataFrame(cursor.fetchall(), columns=names)
    for name in numeric:
        answer[name] = answer[name].astype(float)
    return answer
