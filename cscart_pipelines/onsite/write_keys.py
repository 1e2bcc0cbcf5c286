"""Write keys: which shop a browser speaks for, and whether it is still listened to.

A write key is public (it stands in every page of the shop) and says nothing but the integration it
belongs to. Here they are made, replaced, and read all at once for the collector. Not here: the file
that carries one (`container`), what a batch may hold (`wire`), limits (`limits`).
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
    """`open`, or why nothing is taken any more."""

    @property
    def is_open(self) -> bool:
        return self.state == OPEN


def write_key(connection: psycopg.Connection[Any], integration: str) -> str:
    """The integration's present write key, made when first asked for.

    Two that ask at the same time get the same one. Raises UnknownIntegrationError.
    """
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        _wait_turn(cursor, integration)
        return _present(cursor, integration) or _new(cursor, integration)


def rotate(
    connection: psycopg.Connection[Any], integration: str, *, keep_old_for: timedelta
) -> str:
    """A new write key; the old ones are taken for `keep_old_for` yet, while pages still hold them.

    A key that was to retire sooner still does. Raises UnknownIntegrationError.
    """
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        _wait_turn(cursor, integration)
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

    An http shop may be asked over https, never the other way round: what a page without https says
    can be changed by anybody on its way.
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


def _wait_turn(cursor: psycopg.Cursor[tuple[Any, ...]], integration: str) -> None:
    """Until the transaction ends nobody else makes a key of this integration, or removes it."""
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
