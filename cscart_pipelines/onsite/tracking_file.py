"""The onsite tracking file of an integration, with its write key and options from the warehouse.

For the command line and Dagster. Not here: whether the file may be given out (the caller asks
`integrations.lifecycle`), what is in it (`container`).
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
    """The file's bytes; the write key is made when there is none yet.

    Raises:
        UnknownIntegrationError: There is no such integration.
    """
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
    """The name under which the file is saved."""
    return f"onsite-tracking-{key}.json"


def drawback(shop_url: str, collector_url: str) -> str | None:
    """Why visitors' browsers would not reach the collector by its address; else None."""
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
