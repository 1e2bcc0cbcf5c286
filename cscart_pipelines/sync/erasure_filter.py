"""Keeps erased people out of the warehouse, of whom the shop still has accounts and orders.

People are erased by request (`purge-person`), or because the shop has made them anonymous. Their
accounts are left out, their orders lose the columns that name them. Not here: the erasure itself
(`privacy.erasure`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from cscart_pipelines.cscart.records.customers import CustomerRow
from cscart_pipelines.cscart.records.orders import OrderRow
from cscart_pipelines.identity import read_email, read_mobile, region_of
from cscart_pipelines.integrations.settings import IntegrationSettings, host_of
from cscart_pipelines.privacy.erasure import (
    PERSONAL_ORDER_COLUMNS,
    erase_accounts,
    erase_comments,
)
from cscart_pipelines.privacy.suppression import (
    account_hash,
    identity_hash,
    order_hash,
    suppress,
    suppressed_hashes,
)
from cscart_pipelines.sync.row_handlers import PreparedRows, RawRow, RowHandler
from cscart_pipelines.warehouse.load import Changes

_BLANK = dict.fromkeys(PERSONAL_ORDER_COLUMNS)
_PLACE = dict.fromkeys(("s_state", "s_country", "s_country_name", "b_country", "b_country_name"))


@dataclass(frozen=True)
class _Anonymised:
    """Stands in a chunk for the row of an account that the shop has newly made anonymous."""

    user_id: int


class ErasureFilter:
    """The suppression list of one shop, applied to rows before they are loaded."""

    def __init__(self, connection: psycopg.Connection[Any], settings: IntegrationSettings) -> None:
        self._connection = connection
        self._integration = settings.integration
        self._host = host_of(settings.url)
        self._region = settings.phone_region
        self._hashes = set(suppressed_hashes(connection, settings.integration))
        self.accounts: set[int] = set()
        """Accounts that this run has left out."""

    def customers(self, handler: RowHandler) -> RowHandler:
        """Returns a handler without the erased accounts; their ids are kept for their orders.

        An account that the shop has made anonymous (reference 10.1) is erased with its chunk.
        """

        def prepare(rows: list[RawRow]) -> PreparedRows:
            prepared = handler.prepare(rows)
            anonymised = {str(raw.get("user_id")).strip() for raw in rows if _is_anonymised(raw)}
            if self._hashes or anonymised:
                prepared.rows = [
                    kept
                    for row in prepared.rows
                    for kept in self._kept(row, str(row[_USER]) in anonymised)
                ]
            return prepared

        def load(rows: list[Any]) -> Changes:
            gone = [row.user_id for row in rows if isinstance(row, _Anonymised)]
            if not gone:
                return handler.load(rows)
            touched = erase_accounts(self._connection, self._integration, gone)
            changes = handler.load([row for row in rows if not isinstance(row, _Anonymised)])
            return changes + Changes(updated=sum(touched.values()))

        return RowHandler(prepare, load)

    def order(self, row: OrderRow) -> OrderRow:
        """Returns the order as it may be stored: without names if its buyer was erased."""
        if not self._hashes or not self._is_theirs(row):
            return row
        row = row._replace(**_BLANK)  # type: ignore[arg-type]
        country = row.s_country or row.b_country or ""
        if len(country) != 2 or not country.isupper():  # overwritten by the add-on, as "Bo"
            row = row._replace(**_PLACE)  # type: ignore[arg-type]
        return row

    def clean_shipments(self) -> None:
        """Erases the comments of staff on the shipments of such orders."""
        if self._hashes:
            erase_comments(self._connection, self._integration)

    def _is_theirs(self, row: OrderRow) -> bool:
        return (
            order_hash(self._host, row.order_id) in self._hashes
            or (bool(row.user_id) and account_hash(self._host, row.user_id or 0) in self._hashes)
            or self._named(row.email, (row.phone, row.s_phone), row.s_country or row.b_country)
        )

    def _named(
        self, email: str | None, phones: tuple[str | None, ...], country: str | None
    ) -> bool:
        """Tells whether one of these is erased; a phone counts where no e-mail is usable."""
        if email and identity_hash(self._host, email) in self._hashes:
            return True
        address = read_email(email)
        if address is not None and address.kind == "usable":
            return False
        region = region_of(country) or self._region
        mobiles = (read_mobile(phone, region) for phone in phones)
        return any(one and identity_hash(self._host, one) in self._hashes for one in mobiles)

    def _kept(self, row: tuple[Any, ...], anonymised: bool) -> list[Any]:
        """Returns the row of an account, its `_Anonymised`, or nothing."""
        user = row[_USER]
        account = account_hash(self._host, user)
        known = account in self._hashes
        if not known and not anonymised and not self._named(row[_EMAIL], (row[_PHONE],), None):
            return [row]
        self._hashes.add(account)
        self.accounts.add(user)
        if not known and anonymised:
            return [_Anonymised(user)]
        if not known:
            suppress(self._connection, self._integration, [account])
        return []


def _is_anonymised(raw: RawRow) -> bool:
    return raw.get("anonymized") in ("Y", "y", "1", 1)


_USER, _EMAIL, _PHONE = (CustomerRow._fields.index(name) for name in ("user_id", "email", "phone"))
