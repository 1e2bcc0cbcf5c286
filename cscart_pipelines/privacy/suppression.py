"""The suppression list: hashes of erased people, their accounts and orders, per shop.

By it a row that the shop still has is kept out (`sync.erasure_filter`), and so is the address that
a browser tells (`onsite.collector.store`). Not here: the erasure (`erasure`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from cscart_pipelines.identity import normal


def identity_hash(host: str, who: str) -> bytes:
    """Returns the hash of an erased person's address or mobile in the shop at that host."""
    return _hash(host, f"email {normal(who)}")


def order_hash(host: str, order_id: int) -> bytes:
    """Returns the hash of an erased person's order, whose address the shop may have changed."""
    return _hash(host, f"order {order_id}")


def account_hash(host: str, user_id: int) -> bytes:
    """Returns the hash of an erased person's account, whose orders may have other addresses."""
    return _hash(host, f"account {user_id}")


def visitor_hash(host: str, email_sha256: str) -> bytes:
    """Returns the hash of what an erased person's browser tells; the collector makes it in SQL."""
    return hashlib.sha256(f"visitor {host} {email_sha256}".encode()).digest()[:16]


def _hash(host: str, what: str) -> bytes:
    """Hashes with the host, not the key: a key used again for another shop has its own list."""
    return hashlib.blake2b(f"{host}\0{what}".encode(), digest_size=16, person=b"forgotten").digest()


def suppressed_hashes(connection: psycopg.Connection[Any], integration: str) -> frozenset[bytes]:
    """Returns the suppression list of an integration."""
    rows = connection.cursor(row_factory=tuple_row).execute(
        "SELECT identity_hash FROM registry.suppressed_people WHERE integration = %s", [integration]
    )
    return frozenset(bytes(row[0]) for row in rows)


def suppress(
    connection: psycopg.Connection[Any], integration: str, hashes: Sequence[bytes]
) -> None:
    """Adds hashes to the suppression list, within the caller's transaction."""
    connection.execute(
        "INSERT INTO registry.suppressed_people (integration, identity_hash)"
        " SELECT %s, unnest(%s::bytea[]) ON CONFLICT DO NOTHING",
        [integration, list(hashes)],
    )
