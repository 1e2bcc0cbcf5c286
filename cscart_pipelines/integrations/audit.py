"""The audit trail: entries that no trigger writes, reads, and the deletion of settings from it.

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
    """Adds an entry, within the caller's transaction.

    The actor is the application name of the connection, as in entries of the trigger.
    """
    connection.execute(
        "INSERT INTO registry.audit (integration, actor, act, detail)"
        " SELECT %s, coalesce(nullif(current_setting('application_name'), ''), session_user),"
        " %s, %s",
        [integration, act, Jsonb(dict(detail))],
    )


NO_SETTINGS = ("integration", "status", "attempts", "failure_permanent", "first_synced_at")
"""What the entries of a removed integration keep."""
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
"""The host stays: the suppression list of erased people refers to it."""


def forget_settings(connection: psycopg.Connection[Any], integration: str) -> None:
    """Deletes the values of settings from the entries of a removed integration.

    These are the administrator's e-mail address, addresses, and reasons; actor, act and time stay.
    """
    connection.execute(_FORGET, [list(NO_SETTINGS), integration])


def was_removed(warehouse: Warehouse, integration: str) -> bool:
    """Tells whether an integration of this key existed and was removed."""
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
    """Returns the newest entries, the newest first; without `integration` those of all."""
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
