"""The reads of a targeted sync: single orders and accounts of a shop, by number or hashed address.

Not here: loading them (`sync`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.coerce import integer, mapping, text
from cscart_pipelines.cscart.errors import NotFoundError, TransientShopError
from cscart_pipelines.cscart.http.address import Params
from cscart_pipelines.cscart.lists import read_page
from cscart_pipelines.identity import read_email, sha256, written
from cscart_pipelines.sync.row_handlers import RawRow

NEWEST = 50
"""Accounts on a page of the newest."""
NEWEST_PAGES = 10
"""New accounts beyond these pages wait for the next synchronisation."""
CHILDREN_WITHIN = 30
"""The parts of a split order carry the numbers that follow it (reference 8.5)."""


def address_hashes(email: str | None) -> set[str]:
    """Returns the SHA-256 of the text as browsers normalise it, and of the address it means."""
    address = read_email(email)
    return {sha256(written(email or "")), sha256(address.text if address else "")}


class SingleRows:
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
        """Returns a page of the newest accounts."""
        params: Params = {"user_type": "C", "sort_by": "id", "sort_order": "desc"}
        return self._page("users", page, NEWEST, params)

    def _parts_of(self, parent: int) -> list[int]:
        numbers = ",".join(str(parent + step) for step in range(1, CHILDREN_WITHIN + 1))
        params: Params = {"order_id": numbers, "include_incompleted": 1}
        rows = self._page("orders", 1, CHILDREN_WITHIN, params)
        found = [
            integer(row.get("order_id"))
            for row in rows
            if integer(row.get("parent_order_id")) == parent
        ]
        return [number for number in found if number is not None]

    def _page(self, entity: str, page: int, size: int, params: Params) -> list[RawRow]:
        """Returns the rows of a page; none if one of them breaks it: a synchronisation reads it."""
        try:
            return read_page(self._client, entity, page, size, params).rows
        except TransientShopError as error:
            if not error.lighter_may_help:
                raise
            self._client.get("version")  # is it this page only?
            return []

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


class AccountReads:
    """Finds the accounts of one targeted sync: by hashed address, by number, among the newest."""

    def __init__(
        self, connection: psycopg.Connection[Any], integration: str, shop: SingleRows
    ) -> None:
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
