"""The connections that this process keeps: one small pool for each database and actor.

A connection is looked at before it is lent out again and loses all state of its session when it
comes back, so that a borrower notices neither a restarted server nor the borrower before. Not here:
connections of a borrower's own (`connect.Warehouse.open_session`).
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import tuple_row
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from cscart_pipelines.warehouse.driver import Connection

MOST = 16
"""Connections of a pool; beyond them a borrower gets one of its own after a wait."""
WAIT_SECONDS = 10.0
IDLE_SECONDS = 120.0
"""After which a connection that has not been lent out is closed: a tick comes every 10 to 60 s."""
SECONDS_OF_LIFE = 3600.0
"""After which a connection is replaced: what its server process has cached goes with it."""

Pool = ConnectionPool[Connection]
_Key = tuple[tuple[str, str], ...]

# What a pool says of failed connections reaches the borrower as the error of its own attempt, and
# what the driver says of a transaction that it cannot roll back has no other error than the one
# under way: a connection in the middle of a statement is closed.
logging.getLogger("psycopg").setLevel(logging.ERROR)

_lock = threading.Lock()
_pools: dict[_Key, Pool] = {}
_of_the_parent: list[dict[_Key, Pool]] = []
"""Of the process that this one was forked from: its connections must not be closed here."""


def lend(arguments: Mapping[str, Any]) -> tuple[Pool, Connection] | None:
    """A connection of the pool, in autocommit, to be given back with `Pool.putconn`.

    Args:
        arguments: What libpq needs.

    Returns:
        None where there is no pool, or where it has no connection to lend.
    """
    with _lock:
        pool = _pools.get(_key(arguments))
    if pool is None:
        return None
    try:
        return pool, pool.getconn()
    except (PoolClosed, PoolTimeout, TooManyRequests):
        return None


def make(arguments: Mapping[str, Any]) -> None:
    """Makes the pool of a database that has just answered; it opens no connection yet."""
    key = _key(arguments)
    with _lock:
        known = _pools.get(key)
        if known is None or known.closed:
            _pools[key] = ConnectionPool(
                # Without prepared statements, whose plans a migration or a build would break.
                kwargs={**arguments, "autocommit": True, "prepare_threshold": None},
                min_size=0,
                max_size=MOST,
                open=True,
                check=ConnectionPool.check_connection,
                reset=_forget_session,
                timeout=WAIT_SECONDS,
                max_idle=IDLE_SECONDS,
                max_lifetime=SECONDS_OF_LIFE,
                reconnect_timeout=0,
                reconnect_failed=_give_up,
                num_workers=1,
            )


def close(arguments: Mapping[str, Any] | None = None) -> None:
    """Closes the pools to a database, of any actor; without arguments all pools."""
    where = None if arguments is None else _place(_key(arguments))
    with _lock:
        ended = [key for key in _pools if where is None or _place(key) == where]
        pools = [_pools.pop(key) for key in ended]
    for pool in pools:
        pool.close()


def _key(arguments: Mapping[str, Any]) -> _Key:
    return tuple(sorted((name, str(value)) for name, value in arguments.items()))


def _place(key: _Key) -> dict[str, str]:
    return {name: value for name, value in key if name in ("host", "port", "dbname")}


def _forget_session(connection: Connection) -> None:
    """Settings, locks, temporary tables and what the driver was told: as if newly connected."""
    connection.row_factory = tuple_row
    connection.cursor_factory = psycopg.Cursor
    connection.read_only = connection.isolation_level = connection.deferrable = None
    connection.autocommit = True
    connection.execute("DISCARD ALL")


def _give_up(pool: Pool) -> None:
    """The server is away: who waits is told at once, and the next borrower begins anew.

    In a thread of its own: this runs in one that `close` waits for.
    """
    threading.Thread(target=pool.close, name="pool-end", daemon=True).start()


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()  # a thread that does not exist in the child may have held it
    _of_the_parent.append(dict(_pools))
    _pools.clear()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(close)
