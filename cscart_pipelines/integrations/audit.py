"""The audit trail: entries for what the database's own trigger does not see, and what it forgets.

Not here: changes of an integration itself, which the trigger records.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cscart_pipelines.warehouse.connect import Warehouse


def record(
    connection: psycopg.Connection[Any], integration: str, act: str, detail: Mapping[str, Any]
) -> None:
    """Within the caller's transaction; the actor is the connection's, as with the trigger."""
    connection.execute(
        "INSERT INTO registry.audit (integration, actor, act, detail)"
        " SELECT %s, coalesce(nullif(current_setting('application_name'), ''), session_user),"
        " %s, %s",
        [integration, act, Jsonb(dict(detail))],
    )


NO_SETTINGS = ("integration", "status", "attempts", "failure_permanent", "first_synced_at")
"""What the entries of a removed integration go on telling."""
_FORGET = r"""
    UPDATE registry.audit SET detail = CASE act
        WHEN 'removed' THEN jsonb_build_object(
            'url', regexp_replace(detail ->> 'url', '^([^:]+://[^/]+).*$', '\1'))
        ELSE (
            SELECT coalesce(jsonb_object_agg(
                key, CASE WHEN key = ANY (%s) THEN value ELSE '"deleted"' END), '{}')
            FROM jsonb_each(detail))
        END
    WHERE integration = %s AND act <> 'person forgotten'
"""
"""The host stays: people who were forgotten in that shop are recognised by it."""


def forget_settings(connection: psycopg.Connection[Any], integration: str) -> None:
    """Takes the values of settings out of the entries of an integration that is removed: the
    e-mail address of the administrator, addresses, reasons. Who did what, and when, stays."""
    connection.execute(_FORGET, [list(NO_SETTINGS), integration])


def was_removed(warehouse: Warehouse, integration: str) -> bool:
    """Whether an integration of this key is not there any more, though there was one."""
    with warehouse.connect(autocommit=True) as connection:
        row = connection.execute(
            "SELECT EXISTS (SELECT FROM registry.audit WHERE integration = %(key)s)"
            " AND NOT EXISTS (SELECT FROM registry.integrations WHERE integration = %(key)s)",
            {"key": integration},
        ).fetchone()
    return bool(row and row[0])


def entries(
    connection: psycopg.Connection[Any], integration: str | None, limit: int
) -> list[dict[str, Any]]:
    """The newest entries of the trail, the newest first; None: of all integrations."""
    return (
        connection.cursor(row_factory=dict_row)
        .execute(
            "SELECT at, integration, actor, act, detail FROM registry.audit"
            " WHERE %(key)s::text IS NULL OR integration = %(key)s"
            " ORDER BY id DESC LIMIT %(limit)s",
            {"key": integration, "limit": limit},
        )
        .fetchall()
    )
