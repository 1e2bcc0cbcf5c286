"""People who asked to be forgotten: what the shop still has of them is not loaded.

Their accounts are left out, their orders lose what names them. Where nobody is forgotten, nothing
of this is done. Not here: forgetting somebody (`integrations.forget`).
"""

from __future__ import annotations

from typing import Any

import psycopg

from cscart_pipelines.cscart.records import CustomerRow, OrderRow
from cscart_pipelines.integrations.forget import (
    PERSONAL_ORDER_COLUMNS,
    account_hash,
    forget_comments,
    forgotten_hashes,
    identity_hash,
    remember_forgotten,
)
from cscart_pipelines.integrations.settings import host_of
from cscart_pipelines.sync.consumers import Consumer, Prepared, RawRow

_BLANK = dict.fromkeys(PERSONAL_ORDER_COLUMNS)


class Forgotten:
    """The forgotten people of one shop."""

    def __init__(self, connection: psycopg.Connection[Any], integration: str, url: str) -> None:
        self._connection = connection
        self._integration = integration
        self._host = host_of(url)
        self._hashes = set(forgotten_hashes(connection, integration))
        self.accounts: set[int] = set()
        """Accounts that this run has left out."""

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def customers(self, consumer: Consumer) -> Consumer:
        """The same, without forgotten accounts. Their numbers are remembered for their orders."""
        if not self:
            return consumer

        def prepare(rows: list[RawRow]) -> Prepared:
            prepared = consumer.prepare(rows)
            prepared.rows = [row for row in prepared.rows if not self._is_gone(row)]
            return prepared

        return Consumer(prepare, consumer.load)

    def order(self, row: OrderRow) -> OrderRow:
        """The order as it is kept."""
        if not self._hashes:
            return row
        gone = (row.email and identity_hash(self._host, row.email) in self._hashes) or (
            row.user_id and account_hash(self._host, row.user_id) in self._hashes
        )
        return row._replace(**_BLANK) if gone else row  # type: ignore[arg-type]

    def clean_shipments(self) -> None:
        """What staff wrote on the shipments of such orders."""
        if self:
            forget_comments(self._connection, self._integration)

    def _is_gone(self, row: tuple[Any, ...]) -> bool:
        account = account_hash(self._host, row[_USER])
        if account not in self._hashes:
            if not row[_EMAIL] or identity_hash(self._host, row[_EMAIL]) not in self._hashes:
                return False
            remember_forgotten(self._connection, self._integration, [account])
            self._hashes.add(account)
        self.accounts.add(row[_USER])
        return True


_USER, _EMAIL = (CustomerRow._fields.index(name) for name in ("user_id", "email"))
