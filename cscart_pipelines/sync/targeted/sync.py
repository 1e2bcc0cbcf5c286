"""The targeted sync: single orders and people are read again, because a visit has changed them.

Events of browsers only say what to read; every row that is loaded comes from the shop's API, by the
parsers and hashes of any synchronisation. Addresses are known by their SHA-256 only. What the shop
does not show is reported and left alone, since sweeps find deletions. Not here: the requests
(`reads`), the queue (`onsite.change_queue`), several shops at once (`sync.batches`).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.coerce import integer, text
from cscart_pipelines.cscart.records.customers import parse_customer
from cscart_pipelines.cscart.records.orders import parse_order
from cscart_pipelines.integrations.limit import Limit
from cscart_pipelines.integrations.sync_runs.optimistic_load import (
    SyncSnapshot,
    load_if_unchanged,
    record,
)
from cscart_pipelines.sync.erasure_filter import ErasureFilter
from cscart_pipelines.sync.orders.reader import Loadable, loadable
from cscart_pipelines.sync.row_handlers import PreparedRows, RawRow, parse_rows, plain_handler
from cscart_pipelines.sync.targeted.reads import AccountReads, SingleRows, address_hashes
from cscart_pipelines.warehouse.contacts import store_contacts
from cscart_pipelines.warehouse.load import Changes, Loader
from cscart_pipelines.warehouse.rejects import Rejects
from cscart_pipelines.warehouse.tables import raw as raw_tables


@dataclass
class TargetedReport:
    """What one targeted sync of one shop did."""

    integration: str
    orders: int = 0
    """Read from the shop."""
    customers: int = 0
    changes: Changes = field(default_factory=Changes)
    rejected: int = 0
    missing: set[int] = field(default_factory=set)
    """Orders that the shop does not show yet, or fails to show."""
    unknown: set[str] = field(default_factory=set)
    """Hashed addresses without an account or an order in the warehouse or the shop."""
    calls: int = 0
    seconds: float = 0.0

    def numbers(self) -> dict[str, Any]:
        """Returns the report as plain values, for `registry.sync_runs` and for Dagster."""
        return {
            "orders": self.orders,
            "customers": self.customers,
            "inserted": self.changes.inserted,
            "updated": self.changes.updated,
            "unchanged": self.changes.unchanged,
            "rejected": self.rejected,
            "calls": self.calls,
            "seconds": round(self.seconds, 3),
        }


def sync_targeted(
    connection: psycopg.Connection[Any],
    snapshot: SyncSnapshot,
    client: ShopClient,
    orders: Collection[int],
    people: Mapping[str, Collection[str]],
    *,
    announce: Collection[str] = (),
    run_id: str | None = None,
) -> TargetedReport:
    """Reads these orders and people, and loads what differs in one transaction.

    A record in `registry.sync_runs` is made if rows have changed, or if people of `announce` are
    in a list.

    Args:
        connection: In autocommit mode.
        snapshot: Of `optimistic_load.begin`.
        client: Reads the shop.
        orders: Numbers of orders.
        people: The SHA-256 of each address, with those of other addresses of the same person.
        announce: People of whom other data has changed, such as their consent.
        run_id: Of the Dagster run.

    Raises:
        ShopError: The shop failed; nothing is loaded.
        ConcurrentSyncError: A synchronisation began meanwhile; nothing is loaded.
    """
    started, calls = time.monotonic(), client.stats.calls
    report = TargetedReport(snapshot.key)
    shop = SingleRows(client)
    limit = snapshot.integration.settings.limit
    placed = [
        raw
        for raw in shop.orders(orders, report.missing)
        if not limit.why_outside(integer(raw.get("company_id")), integer(raw.get("storefront_id")))
    ]
    accounts = AccountReads(connection, snapshot.key, shop)
    accounts.read_known({*people, *(other for others in people.values() for other in others)})
    accounts.read_buyers(placed)
    guests = {one for raw in placed for one in address_hashes(text(raw.get("email")))}
    if people.keys() - accounts.found:
        accounts.read_newest(people.keys() - accounts.found)
    report.unknown = set(people.keys() - accounts.found - guests)
    listed = set(announce) - report.unknown
    listed = listed or _buyers(connection, snapshot.key, set(announce) & report.unknown)
    report.orders, report.customers = len(placed), len(accounts.rows)
    report.calls = client.stats.calls - calls
    with load_if_unchanged(connection, snapshot):
        _load(connection, snapshot, report, placed, list(accounts.rows.values()))
        report.seconds = time.monotonic() - started
        if report.changes.written or listed:
            record(connection, snapshot, report.changes.written, report.numbers(), run_id)
    return report


def _buyers(connection: psycopg.Connection[Any], key: str, hashes: Collection[str]) -> set[str]:
    """Returns the hashes whose address has ordered, as a guest or not."""
    if not hashes:
        return set()
    rows = connection.execute(
        """
        SELECT DISTINCT hash FROM (
            SELECT unnest(ARRAY[known.written_sha256, known.address_sha256]) AS hash
            FROM cscart.email_addresses AS known
            WHERE known.integration = %s AND EXISTS (
                SELECT FROM cscart.orders AS placed
                WHERE placed.integration = known.integration AND placed.email = known.raw
            )
        ) AS buyer
        WHERE hash = ANY(%s)
        """,
        [key, list(hashes)],
    ).fetchall()
    return {row[0] for row in rows}


def _load(
    connection: psycopg.Connection[Any],
    snapshot: SyncSnapshot,
    report: TargetedReport,
    placed: list[RawRow],
    accounts: list[RawRow],
) -> None:
    """Loads within one transaction; people who were erased meanwhile are left out."""
    loader = Loader(connection, snapshot.key)
    settings = snapshot.integration.settings
    erasure_filter = ErasureFilter(connection, settings)

    def read(raw: RawRow) -> tuple[int, Loadable]:
        row, lines = parse_order(raw)
        return row.order_id, loadable(erasure_filter.order(row), lines)

    people = erasure_filter.customers(
        plain_handler(loader, raw_tables.customers, parse_customer, "user_id")
    )
    if limit := snapshot.integration.settings.limit:
        accounts = _taken(connection, snapshot.key, limit, placed, accounts)
    customers = people.prepare(accounts)
    orders = parse_rows(placed, "order_id", read)
    report.changes += people.load(customers.rows) + loader.merge_orders(orders.rows)
    rejects = Rejects(connection, snapshot.key)
    report.rejected = _update_rejects(rejects, "customers", customers)
    report.rejected += _update_rejects(rejects, "orders", orders)
    if report.changes.written:
        store_contacts(connection, snapshot.key, settings.phone_region)


def _taken(
    connection: psycopg.Connection[Any],
    key: str,
    limit: Limit,
    placed: list[RawRow],
    accounts: list[RawRow],
) -> list[RawRow]:
    """Returns the accounts that the integration takes: by company, or as buyers of its orders."""
    numbers = [integer(raw.get("user_id")) or 0 for raw in accounts]
    known = connection.execute(
        "SELECT DISTINCT user_id FROM cscart.orders WHERE integration = %s"
        " AND user_id = ANY(%s) AND deleted_at IS NULL",
        [key, numbers],
    ).fetchall()
    buyers = {row[0] for row in known} | {integer(raw.get("user_id")) or 0 for raw in placed}
    return [
        raw
        for raw, number in zip(accounts, numbers, strict=True)
        if limit.takes_account(integer(raw.get("company_id")), number, buyers - {0})
    ]


def _update_rejects(rejects: Rejects, entity: str, prepared: PreparedRows) -> int:
    refused = {key for key, _ in prepared.rejects}
    rejects.resolve(entity, (str(key) for key in prepared.ids if str(key) not in refused))
    for key, reason in prepared.rejects:
        rejects.add(entity, key, reason)
    return len(prepared.rejects)
