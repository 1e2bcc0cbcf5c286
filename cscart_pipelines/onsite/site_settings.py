"""The settings of onsite tracking of one shop, `onsite.sites`: which sites, how long, how much.

Not here: write keys (`write_keys`), reading the settings for the collector.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from cscart_pipelines.integrations import audit
from cscart_pipelines.integrations.settings import InvalidSettingsError
from cscart_pipelines.onsite.retention import DEFAULT_DAYS
from cscart_pipelines.onsite.write_keys import RATE

SiteSettings = dict[str, Any]
DEFAULTS: SiteSettings = {
    "origins": [], "raw_email": False, "retention_days": DEFAULT_DAYS, "batches_per_second": RATE
}  # fmt: skip
"""What holds where nothing is set: the defaults of the table."""
MOST_ORIGINS = 50


def read_settings(connection: psycopg.Connection[Any], integration: str) -> SiteSettings:
    """The settings of a shop, the defaults for those that were never set."""
    cursor = connection.cursor(row_factory=dict_row)
    found = cursor.execute(
        "SELECT origins, raw_email, retention_days, batches_per_second"
        " FROM onsite.sites WHERE integration = %s",
        [integration],
    ).fetchone()
    return {**DEFAULTS, **(found or {})}


def change_settings(
    connection: psycopg.Connection[Any],
    integration: str,
    changed: SiteSettings,
    *,
    add_origins: set[str],
    remove_origins: set[str],
    own_origins: frozenset[str],
) -> tuple[SiteSettings, SiteSettings]:
    """Changes settings and records it in the audit trail; concurrent changes wait for each other.

    Args:
        connection: in autocommit.
        integration: the shop.
        changed: new values by the names of `DEFAULTS`, origins apart.
        add_origins: sites whose events are accepted from now on.
        remove_origins: sites whose events are accepted no longer.
        own_origins: the shop's own addresses, which are always accepted.

    Returns:
        The settings before and now.

    Raises:
        InvalidSettingsError: an origin to remove is not there, or there are too many.
    """
    with connection.transaction():
        if changed or add_origins or remove_origins:
            connection.execute(
                "INSERT INTO onsite.sites (integration) VALUES (%s)"
                " ON CONFLICT (integration) DO UPDATE SET integration = excluded.integration",
                [integration],
            )
        before = read_settings(connection, integration)
        origins = set(before["origins"])
        if unknown := remove_origins - origins - add_origins:
            raise InvalidSettingsError({"remove_origin": _not_removed(unknown, own_origins)})
        now = {**before, **changed, "origins": sorted((origins | add_origins) - remove_origins)}
        if len(now["origins"]) > MOST_ORIGINS:
            raise InvalidSettingsError({"origin": f"expected at most {MOST_ORIGINS} of them"})
        if now != before:
            connection.execute(
                "UPDATE onsite.sites SET origins = %(origins)s, raw_email = %(raw_email)s,"
                " retention_days = %(retention_days)s, batches_per_second = %(batches_per_second)s"
                " WHERE integration = %(key)s",
                {**now, "key": integration},
            )
            differing = {
                name: [before[name], now[name]] for name in now if now[name] != before[name]
            }
            audit.record(connection, integration, "onsite changed", differing)
    return before, now


def _not_removed(unknown: set[str], own_origins: frozenset[str]) -> str:
    names = ", ".join(sorted(unknown))
    if unknown <= own_origins:
        return f"{names} is the shop's own; use disable to stop it"
    return f"{names} is not among the origins"
