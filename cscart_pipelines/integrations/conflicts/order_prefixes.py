"""Order prefixes of one client must differ so far that a number belongs to one integration.

The check is part of the transaction that saves, under a lock, so that of two integrations saved at
once the later one sees the other. Integrations without a client id (`user_id`) are not compared.
Not here: what makes prefixes ambiguous (`order_numbers`), saving (`registry`, `service`).
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
    """Lets one transaction at a time save prefixes and limits, until the caller's ends.

    It is called before the row is written: the check afterwards then sees all earlier ones.
    """
    advisory.lock(connection, Lock.ORDER_PREFIXES)


def reject_ambiguous(connection: psycopg.Connection[Any], key: str) -> None:
    """Checks the integration as the caller's transaction has written it.

    Raises:
        InvalidSettingsError: On `order_prefix`; names the other integration.
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
    """Returns by key what is wrong with its prefix, within one file of integrations. Pure."""
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
