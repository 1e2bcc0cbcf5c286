"""Write keys: which integration an event batch belongs to, and whether it is accepted.

A write key is public (it is in every page of the shop) and names nothing but its integration. Here
keys are made, replaced, and read for the collector. Not here: the file that carries one
(`container`), what a batch may hold (`collector.schema`), limits (`collector.rate_limits`).
"""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.rows import tuple_row

from cscart_pipelines.integrations.registry import UnknownIntegrationError
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock

LENGTH = 32
"""Characters of [A-Za-z0-9_-]: 192 random bits."""

OPEN = "open"
REMOVED = "the integration has been removed"
RETIRED = "the key has been replaced"
DISABLED = "the integration is disabled"
NOT_STARTED = "the integration has never been enabled"

RATE = 200
"""Batches a second of one key where `onsite.sites` says nothing."""


@dataclass(frozen=True)
class Site:
    """What the collector must know about a write key."""

    integration: str
    origins: frozenset[str]
    """Where pages of the shop live, as browsers name it in `Origin`."""
    raw_email: bool = False
    batches_per_second: int = RATE
    state: str = OPEN
    """`open`, or why events are not accepted any more."""

    @property
    def is_open(self) -> bool:
        """Whether events are accepted."""
        return self.state == OPEN


def write_key(connection: psycopg.Connection[Any], integration: str) -> str:
    """The integration's present write key, made when first asked for.

    Two callers at the same time get the same one.

    Raises:
        UnknownIntegrationError: There is no such integration.
    """
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        _lock_integration(cursor, integration)
        return _present(cursor, integration) or _new(cursor, integration)


def rotate(
    connection: psycopg.Connection[Any], integration: str, *, keep_old_for: timedelta
) -> str:
    """Makes a new write key.

    Args:
        connection: To the warehouse.
        integration: Its key.
        keep_old_for: How long old keys are still accepted, while pages hold them; a key that was to
            retire sooner still does.

    Raises:
        UnknownIntegrationError: There is no such integration.
    """
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        _lock_integration(cursor, integration)
        cursor.execute(
            "UPDATE onsite.keys SET retired_at = least(retired_at, clock_timestamp() + %s)"
            " WHERE integration = %s",
            [keep_old_for, integration],
        )
        return _new(cursor, integration)


def load_sites(connection: psycopg.Connection[Any]) -> dict[str, Site]:
    """Every write key ever given out that is still known, with its site."""
    rows = (
        connection.cursor(row_factory=tuple_row)
        .execute(
            "SELECT k.write_key, k.integration, i.url, i.status, i.first_synced_at IS NOT NULL,"
            " k.retired_at <= clock_timestamp(), s.origins, s.raw_email, s.batches_per_second"
            " FROM onsite.keys k"
            " LEFT JOIN registry.integrations i USING (integration)"
            " LEFT JOIN onsite.sites s USING (integration)"
        )
        .fetchall()
    )
    sites = {}
    for key, integration, url, status, enabled_once, retired, origins, raw_email, rate in rows:
        sites[key] = Site(
            integration=integration,
            origins=shop_origins(url) | frozenset(origins or ()) if url else frozenset(),
            raw_email=bool(raw_email),
            batches_per_second=RATE if rate is None else rate,
            state=_state(status, enabled_once, bool(retired)),
        )
    return sites


def shop_origins(url: str) -> frozenset[str]:
    """Origins of a shop's pages: its address, the same host with or without www, and https.

    A shop on http may send over https, never the other way round: a page without https can be
    changed by any network on its way.
    """
    parts = urlsplit(url)
    hosts = {parts.netloc}
    name = parts.hostname or ""
    if "." in name and not _is_address(name):
        bare = parts.netloc.removeprefix("www.")
        hosts |= {bare, f"www.{bare}"} if "." in bare.partition(":")[0] else set()
    found = {f"{parts.scheme}://{host}" for host in hosts}
    if parts.scheme == "http" and parts.port is None:
        found |= {f"https://{host}" for host in hosts}
    return frozenset(found)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _state(status: str | None, enabled_once: bool, retired: bool) -> str:
    if status is None:
        return REMOVED
    if retired:
        return RETIRED
    if status == "disabled":
        return DISABLED
    # A failed or running synchronisation is no reason to lose visits, but there is no file
    # before the first one has succeeded.
    return OPEN if enabled_once and status != "ready" else NOT_STARTED


def _lock_integration(cursor: psycopg.Cursor[tuple[Any, ...]], integration: str) -> None:
    """Keeps the integration and its keys unchanged by others until the transaction ends."""
    advisory.lock(cursor.connection, Lock.WRITE_KEY, integration)
    found = cursor.execute(
        "SELECT FROM registry.integrations WHERE integration = %s FOR KEY SHARE", [integration]
    ).fetchone()
    if found is None:
        raise UnknownIntegrationError(f"there is no integration {integration!r}")


def _present(cursor: psycopg.Cursor[tuple[Any, ...]], integration: str) -> str | None:
    row = cursor.execute(
        "SELECT write_key FROM onsite.keys WHERE integration = %s AND retired_at IS NULL"
        " ORDER BY created_at DESC, write_key LIMIT 1",
        [integration],
    ).fetchone()
    return None if row is None else str(row[0])


def _new(cursor: psycopg.Cursor[tuple[Any, ...]], integration: str) -> str:
    key = secrets.token_urlsafe(LENGTH * 3 // 4)
    cursor.execute(
        "INSERT INTO onsite.keys (write_key, integration, created_at)"
        " VALUES (%s, %s, clock_timestamp())",
        [key, integration],
    )
    return key
