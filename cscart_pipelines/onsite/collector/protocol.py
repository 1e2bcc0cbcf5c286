"""HTTP connections with limits that uvicorn lacks: their number, seconds of a request, header size.

A request has to arrive within its time, however slowly its bytes come; so has the first one of a
silent connection. Not here: bodies (`app` reads them in pieces).
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_BYTES = 16 * 1024
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)
TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)


class BoundedProtocol(HttpToolsProtocol):
    """One connection; `bounded` sets its limits."""

    most_connections = 1000
    request_seconds = 10.0
    _timer: asyncio.TimerHandle | None = None
    _header_bytes = 0
    _in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuses a connection above the limit, else starts its timer."""
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            self._refuse(FULL)
        else:
            self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the timer."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feeds the parser and bounds what comes before the body."""
        if self.transport.is_closing():
            return
        self._arm()
        super().data_received(data)
        if not self._in_body and self._timer is not None and not self.transport.is_closing():
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES:
                self._refuse(TOO_LARGE)

    def on_message_begin(self) -> None:
        """Starts the timer of a request; refuses one that comes before the last is answered."""
        if self.cycle is not None and not self.cycle.response_complete:
            # uvicorn would keep all of them; browsers never send one before the last is answered.
            raise ValueError("requests in a row without waiting")  # the parser makes a 400 of it
        self._header_bytes = 0
        self._arm()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Refuses headers that are too large."""
        if sum(len(name) + len(value) for name, value in self.headers) > HEADER_BYTES:
            raise ValueError("too many headers")  # the parser makes a 400 of it
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stops the timer: the request is there."""
        self._in_body = False
        self._disarm()
        super().on_message_complete()

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.request_seconds, self._too_slow)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        self.transport.abort()

    def _refuse(self, answer: bytes) -> None:
        self.transport.write(answer)
        self.transport.close()


def bounded(connections: int, seconds: float) -> type[BoundedProtocol]:
    """The protocol class for uvicorn.

    Args:
        connections: Limit of connections at a time.
        seconds: For a whole request to arrive.
    """
    values: dict[str, Any] = {"most_connections": connections, "request_seconds": seconds}
    return type("BoundedProtocol", (BoundedProtocol,), values)
