"""The connections of one session while they are open, so that somebody else can cut them.

A thread that waits for a shop hears nothing until its time-out, two minutes later; a person who has
pressed Ctrl-C should not have to wait for that. Shutting the socket down wakes the thread at once.
Not here: who may do so, and when (client).
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
    """The open sockets of a session. `cut` is for good: what is opened later is cut too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._cut = False

    def add(self, opened: socket.socket) -> None:
        with self._lock:
            self._sockets.add(opened)
            cut = self._cut
        if cut:
            _shut(opened)

    def cut(self) -> None:
        with self._lock:
            self._cut = True
            opened = list(self._sockets)
        for each in opened:
            _shut(each)


def _shut(opened: socket.socket) -> None:
    # Encryption within encryption, through a proxy that is spoken to by https, is no socket but
    # has one.
    opened = getattr(opened, "socket", opened)
    with contextlib.suppress(OSError):  # closed already, by us or by the shop
        # Not the method of a TLS socket: it takes the encryption away under whoever is reading.
        socket.socket.shutdown(opened, socket.SHUT_RDWR)


class TrackedAdapter(HTTPAdapter):
    """An adapter of requests whose connections, through proxies too, are known to `wires`."""

    def __init__(self, wires: OpenConnections, **options: Any) -> None:
        self._pools = _pools(wires)
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> PoolManager:
        manager: PoolManager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pools(wires: OpenConnections) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            wires.add(self.sock)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            wires.add(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
