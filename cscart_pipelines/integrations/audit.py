"""A line in the audit trail, for what the database's own trigger does not see.

Not here: changes of an integration itself, which the trigger records.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.types.json import Jsonb


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
