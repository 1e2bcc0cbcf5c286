"""Order prefixes of one client must be told apart: whose is order CS1000012?

The check stands in the transaction that saves, behind a lock, so that of two integrations saved at
once the later one sees the other. Integrations without a client id (`user_id`) are each alone. Not
here: what makes prefixes ambiguous (`order_numbers`), saving (`registry`, `acts`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from cscart_pipelines.integrations.order_numbers import ambiguous
from cscart_pipelines.integrations.settings import IntegrationSettings, InvalidSettingsError
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock

FIELDS = frozenset({"user_id", "order_prefix"})
"""Settings whose change needs the check."""


def lock_prefixes(connection: psycopg.Connection[Any]) -> None:
    """One saves prefixes and limits at a time, until the end of the caller's transaction.

    Before the row is written: the check after it then sees everybody who was earlier.
    """
    advisory.lock(connection, Lock.ORDER_PREFIXES)


def reject_ambiguous(connection: psycopg.Connection[Any], key: str) -> None:
    """Looks at the integration as it has just been written in the caller's transaction.

    Raises InvalidSettingsError on `order_prefix`, naming the other integration.
    """
    rows = connection.cursor(row_factory=tuple_row).execute(
        "SELECT mine.order_prefix, other.integration, other.order_prefix"
        " FROM registry.integrations AS mine JOIN registry.integrations AS other"
        " ON other.user_id = mine.user_id AND other.integration <> mine.integration"
        " WHERE mine.integration = %s ORDER BY other.integration",
        [key],
    )
    for mine, other, theirs in rows.fetchall():
        if ambiguous(mine, theirs):
            raise InvalidSettingsError({"order_prefix": _message(mine, other, theirs)})


def ambiguities(settings: Iterable[IntegrationSettings]) -> dict[str, str]:
    """Key -> what is wrong with its prefix, within one file of integrations. Pure."""
    found: dict[str, str] = {}
    before: list[IntegrationSettings] = []
    for one in settings:
        for other in before:
            if _clash(one, other):
                message = _message(one.order_prefix, other.integration, other.order_prefix)
                found.setdefault(one.integration, message)
        before.append(one)
    return found


def _clash(one: IntegrationSettings, other: IntegrationSettings) -> bool:
    same_client = one.user_id is not None and one.user_id == other.user_id
    return (
        same_client
        and one.integration != other.integration
        and ambiguous(one.order_prefix, other.order_prefix)
    )


def _message(prefix: str, other: str, theirs: str) -> str:
    return (
        f"{prefix!r} cannot be distinguished from the prefix {theirs!r} of the integration"
        f" {other!r}, which has the same user id; expected one that makes their order numbers"
        " differ"
    )
