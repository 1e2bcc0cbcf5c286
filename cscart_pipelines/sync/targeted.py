"""The targeted sync: single orders and people are read again, because a visit has changed them.

Events of browsers only say what to read; every row that is loaded comes from the shop's API, by the
parsers and hashes of any synchronisation. Addresses are known by their SHA-256 only. What the shop
does not show is reported and left alone, since sweeps find deletions. Not here: the queue
(`onsite.change_queue`), repetitions, several shops at once (`defs.onsite`).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psycopg

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.coerce import integer, mapping, text
from cscart_pipelines.cscart.errors import NotFoundError, TransientShopError
from cscart_pipelines.cscart.http.address import Params
from cscart_pipelines.cscart.lists import read_page
from cscart_pipelines.cscart.records.customers import parse_customer
from cscart_pipelines.cscart.records.orders import parse_order
from cscart_pipelines.identity import read_email, sha256, written
from cscart_pipelines.integrations.limit import Limit
from cscart_pipelines.integrations.sync_runs.optimistic_load import (
    SyncSnapshot,
    load_if_unchanged,
    record,
)
from cscart_pipelines.sync.erasure_filter import ErasureFilter
from cscart_pipelines.sync.orders.reader import Loadable, loadable
from cscart_pipelines.sync.row_handlers import PreparedRows, RawRow, parse_rows, plain_handler
from cscart_pipelines.warehouse.contacts import store_contacts
from cscart_pipelines.warehouse.load import Changes, Loader
from cscart_pipelines.warehouse.tables import core as tables_core

NEWEST = 50
"""Accounts on a page of the newest."""
NEWEST_PAGES = 10
"""New accounts beyond these pages wait for the next synchronisation."""
CHILDREN_WITHIN = 30
"""The parts of a split order carry the numbers that follow it (reference 8.5)."""


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
    shop = _Shop(client)
    limit = snapshot.integration.settings.limit
    placed = [
        raw
        for raw in shop.orders(orders, report.missing)
        if not limit.why_outside(integer(raw.get("company_id")), integer(raw.get("storefront_id")))
    ]
    accounts = _Accounts(connection, snapshot.key, shop)
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


def address_hashes(email: str | None) -> set[str]:
    """Returns the SHA-256 of the text as browsers normalise it, and of the address it means."""
    address = read_email(email)
    return {sha256(written(email or "")), sha256(address.text if address else "")}


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
        plain_handler(loader, tables_core.customers, parse_customer, "user_id")
    )
    if limit := snapshot.integration.settings.limit:
        accounts = _taken(connection, snapshot.key, limit, placed, accounts)
    customers = people.prepare(accounts)
    orders = parse_rows(placed, "order_id", read)
    report.changes += people.load(customers.rows) + loader.merge_orders(orders.rows)
    report.rejected = _settle(loader, "customers", customers) + _settle(loader, "orders", orders)
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


def _settle(loader: Loader, entity: str, prepared: PreparedRows) -> int:
    refused = {key for key, _ in prepared.rejects}
    loader.resolve(entity, (str(key) for key in prepared.ids if str(key) not in refused))
    for key, reason in prepared.rejects:
        loader.reject(entity, key, reason)
    return len(prepared.rejects)


# --- asking the shop -----------------------------------------------------------------------------


class _Shop:
    """Reads single rows of a shop; one that breaks does not stop the others."""

    def __init__(self, client: ShopClient) -> None:
        self._client = client

    def orders(self, numbers: Collection[int], missing: set[int]) -> list[RawRow]:
        """Returns orders with details; the parts of a parent instead of it (reference 8.5).

        Numbers that the shop does not show are added to `missing`.
        """
        found: dict[int, RawRow] = {}
        for number, raw in self._each("orders", sorted(numbers)):
            if raw is None:
                missing.add(number)
            elif raw.get("is_parent_order") == "Y":
                parts = [each for _, each in self._each("orders", self._parts_of(number)) if each]
                if not parts:  # the shop may still be splitting it
                    missing.add(number)
                found |= {integer(part["order_id"]) or 0: part for part in parts}
            else:
                found[number] = raw
        return list(found.values())

    def customers(self, numbers: Iterable[int]) -> list[RawRow]:
        """Returns the accounts of customers that exist; not those of staff."""
        return [
            raw
            for _, raw in self._each("users", sorted(numbers))
            if raw is not None and raw.get("user_type", "C") == "C"
        ]

    def newest_customers(self, page: int) -> list[RawRow]:
        params: Params = {"user_type": "C", "sort_by": "id", "sort_order": "desc"}
        return read_page(self._client, "users", page, NEWEST, params).rows

    def _parts_of(self, parent: int) -> list[int]:
        numbers = ",".join(str(parent + step) for step in range(1, CHILDREN_WITHIN + 1))
        params: Params = {"order_id": numbers, "include_incompleted": 1}
        rows = read_page(self._client, "orders", 1, CHILDREN_WITHIN, params).rows
        found = [
            integer(row.get("order_id"))
            for row in rows
            if integer(row.get("parent_order_id")) == parent
        ]
        return [number for number in found if number is not None]

    def _each(self, entity: str, numbers: Sequence[int]) -> list[tuple[int, RawRow | None]]:
        """Returns the rows by number; None for one that the shop lacks, or fails to send.

        Raises:
            ShopError: The shop itself fails, not only one of its rows.
        """
        found: list[tuple[int, RawRow | None]] = []
        answered = False
        at_once = self._client.max_parallel
        with ThreadPoolExecutor(at_once, entity) as threads:
            for start in range(0, len(numbers), at_once):
                part = numbers[start : start + at_once]
                trouble = None
                for number, row in zip(
                    part, threads.map(lambda number: self._one(entity, number), part), strict=True
                ):
                    if isinstance(row, TransientShopError):
                        trouble, row = row, None
                    else:
                        answered = True
                    found.append((number, row))
                if trouble is not None and not answered:
                    self._client.get("version")  # is it this row only?
                    answered = True
        return found

    def _one(self, entity: str, number: int) -> RawRow | TransientShopError | None:
        key = "order_id" if entity == "orders" else "user_id"
        try:
            row = dict(mapping(self._client.get(entity, id=number).body))
        except NotFoundError:
            return None
        except TransientShopError as error:
            if not error.lighter_may_help:
                raise
            return error
        # From 4.16 on an unknown user is answered with an empty list (reference 10.3).
        return row if integer(row.get(key)) == number else None


class _Accounts:
    """The accounts of one snapshot: found by hashed address, by number, among the newest."""

    def __init__(self, connection: psycopg.Connection[Any], integration: str, shop: _Shop) -> None:
        self._connection = connection
        self._integration = integration
        self._shop = shop
        self._asked: set[int] = set()
        self.rows: dict[int, RawRow] = {}
        self.found: set[str] = set()
        """Hashed addresses whose account was read: present ones, and earlier ones of it."""

    def read_known(self, hashes: Collection[str]) -> None:
        """Reads the accounts that have such an address in the warehouse."""
        known = self._connection.execute(
            """
            SELECT user_id, hash FROM (
                SELECT account.user_id,
                       unnest(ARRAY[known.written_sha256, known.address_sha256]) AS hash
                FROM cscart.customers AS account
                JOIN cscart.email_addresses AS known
                    ON known.integration = account.integration AND known.raw = account.email
                WHERE account.integration = %s AND account.deleted_at IS NULL
            ) AS account
            WHERE hash = ANY(%s)
            """,
            [self._integration, list(hashes)],
        ).fetchall()
        self._read({number for number, _ in known})
        self.found |= {hashed for number, hashed in known if number in self.rows}

    def read_buyers(self, placed: Iterable[RawRow]) -> None:
        """Reads accounts of these orders that the warehouse lacks, or has with another address.

        The former registered while buying; the latter may have been made anonymous by the shop.
        """
        buyers = {
            (number, read_email(text(raw.get("email"))))
            for raw in placed
            if (number := integer(raw.get("user_id")))
        }
        met = self._connection.execute(
            "SELECT user_id, email FROM cscart.customers"
            " WHERE integration = %s AND user_id = ANY(%s) AND deleted_at IS NULL",
            [self._integration, [number for number, _ in buyers]],
        ).fetchall()
        known = {(number, read_email(email)) for number, email in met}
        self._read({number for number, _ in buyers - known})

    def read_newest(self, wanted: Collection[str]) -> None:
        """Reads the newest accounts down to known ones, or until all wanted ones are found."""
        row = self._connection.execute(
            "SELECT coalesce(max(user_id), 0) FROM cscart.customers WHERE integration = %s",
            [self._integration],
        ).fetchone()
        known = int(row[0]) if row else 0
        before: list[RawRow] = []
        for page in range(1, NEWEST_PAGES + 1):
            rows = self._shop.newest_customers(page)
            if rows == before:  # past the end the last page comes again (reference 6.3)
                return
            before = rows
            self._take(rows)
            numbers = [integer(raw.get("user_id")) or 0 for raw in rows]
            if len(rows) < NEWEST or min(numbers) <= known:
                return

    def _read(self, numbers: set[int]) -> None:
        wanted = numbers - self._asked
        self._asked |= wanted
        self._take(self._shop.customers(wanted))

    def _take(self, rows: Iterable[RawRow]) -> None:
        for raw in rows:
            number = integer(raw.get("user_id"))
            if number is not None:
                self.rows[number] = raw
                self.found |= address_hashes(text(raw.get("email")))
