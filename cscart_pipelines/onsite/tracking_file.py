"""The onsite tracking file of an integration as bytes: its key and its site's options looked up.

For the command line and for Dagster's link alike. Whether the file may be given out is the
lifecycle's word (`Act.TRACKING_FILE`), asked by the caller; what is in it, `container`'s.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.rows import tuple_row

from cscart_pipelines.integrations.registry import Integration
from cscart_pipelines.onsite.container import TagOptions, container, write
from cscart_pipelines.onsite.write_keys import write_key


def tracking_file(
    connection: psycopg.Connection[Any], integration: Integration, collector_url: str
) -> bytes:
    """The file; the write key is made when there is none yet. Raises UnknownIntegrationError."""
    key = write_key(connection, integration.key)
    row = (
        connection.cursor(row_factory=tuple_row)
        .execute("SELECT raw_email FROM onsite.sites WHERE integration = %s", [integration.key])
        .fetchone()
    )
    options = TagOptions(raw_email=bool(row and row[0]))
    return write(
        container(integration.settings, key, collector_url, options, made_at=integration.created_at)
    )


def file_name(key: str) -> str:
    return f"onsite-tracking-{key}.json"


def drawback(shop_url: str, collector_url: str) -> str | None:
    """Why browsers of visitors would not reach the collector, as far as addresses tell."""
    shop, collector = urlsplit(shop_url), urlsplit(collector_url)
    if _is_here(collector.hostname) and not _is_here(shop.hostname):
        return (
            f"the collector's address {collector_url} is this machine's own: visitors' browsers "
            "would look for it on theirs"
        )
    if shop.scheme == "https" and collector.scheme != "https" and not _is_here(collector.hostname):
        return (
            f"browsers send nothing from a shop on https to {collector_url}: "
            "the collector must be on https too"
        )
    return None


def _is_here(host: str | None) -> bool:
    return host is not None and (host == "localhost" or host == "::1" or host.startswith("127."))
