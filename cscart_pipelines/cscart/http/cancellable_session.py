"""The open connections of one session, so that another thread can shut them down.

A thread that waits for a shop would notice a cancellation only after its time-out of two minutes;
the shutdown of the socket wakes it at once. Not here: when that is allowed (`client`).
"""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection


class OpenConnections:
    """The open sockets of a session. After `cut`, sockets opened later are shut down too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._cut = False

    def add(self, opened: socket.socket) -> None:
        """Registers a socket; shuts it down if the session was cut."""
        with self._lock:
            self._sockets.add(opened)
            cut = self._cut
        if cut:
            _shut(opened)

    def cut(self) -> None:
        """Shuts down all sockets of the session, for good. Safe from any thread."""
        with self._lock:
            self._cut = True
            opened = list(self._sockets)
        for each in opened:
            _shut(each)


def _shut(opened: socket.socket) -> None:
    # TLS within TLS, through a proxy by https, is no socket but has one.
    opened = getattr(opened, "socket", opened)
    with contextlib.suppress(OSError):  # closed already, by us or by the shop
        # Not the method of a TLS socket, which would remove the TLS layer under the reading thread.
        socket.socket.shutdown(opened, socket.SHUT_RDWR)


class TrackedAdapter(HTTPAdapter):
    """An adapter of requests that registers its connections, through proxies too."""

    def __init__(self, open_connections: OpenConnections, **options: Any) -> None:
        self._pools = _pools(open_connections)
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Makes the pools of direct connections (called by requests)."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> PoolManager:
        """Makes the pools of connections through a proxy (called by requests)."""
        manager: PoolManager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pools(open_connections: OpenConnections) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            open_connections.add(self.sock)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            open_connections.add(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
