"""HTTP/1.1 on a socket: reads requests, writes answers, and can break both on purpose.

A small server of its own because faults need the socket (resets, half bodies, drips) and because
the benchmark must not measure a slow shop. Knows nothing of the API: it calls `respond`.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from cscart_pipelines.sandbox.http.responses import SandboxResponse
from cscart_pipelines.sandbox.http.routing import Request

TLS_RECORD = b"\x16"
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass(slots=True)
class Delivery:
    """An answer and how to deliver it."""

    answer: SandboxResponse
    reset: bool = False  # cut the connection instead of answering
    cut: int | None = None  # send only so many bytes of the body, then close
    pause: float = 0.0  # seconds between small pieces (slow drip)


Respond = Callable[[Request], Delivery]


class WireServer(socketserver.ThreadingTCPServer):
    """Serves `respond` on one address of this machine; one thread per connection.

    Connections are closed with it.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        respond: Respond,
        *,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.respond = respond
        self.tls = tls
        self.clock = clock
        self.open: set[socket.socket] = set()
        super().__init__(address, _Connection)

    def shutdown(self) -> None:
        """Ends the loop at once; a system that cannot wake it so, lets it come to its next look."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        super().shutdown()

    def close_connections(self) -> None:
        """Closes connections that are still open."""
        for each in list(self.open):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up, and faults hang up on them: nothing to report."""


class _Connection(socketserver.BaseRequestHandler):
    server: WireServer

    def handle(self) -> None:
        raw: socket.socket = self.request
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.server.tls is not None:
            # In the connection's thread: a slow handshake must not keep others from connecting.
            raw.settimeout(30)
            raw = self.server.tls.wrap_socket(raw, server_side=True)
            raw.settimeout(None)
        self.server.open.add(raw)
        try:
            self._serve(raw)
        except (OSError, ValueError):
            return
        finally:
            self.server.open.discard(raw)
            # shutdown() would return at once, but a TLS wrapper detaches the socket it was given.
            raw.close()

    def _serve(self, raw: socket.socket) -> None:
        with raw.makefile("rb", buffering=65536) as stream:
            while True:
                request = _read(stream, secure=self.server.tls is not None)
                if request is None:
                    return
                if request.headers.get("expect", "").lower() == "100-continue":
                    raw.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                delivery = self.server.respond(request)
                if delivery.reset:
                    # Linger 0 makes close() send RST: the peer sees a reset, not an end.
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                if not self._send(raw, request, delivery):
                    return
                if request.headers.get("connection", "").lower() == "close":
                    return

    def _send(self, raw: socket.socket, request: Request, delivery: Delivery) -> bool:
        answer = delivery.answer
        lines = [
            f"HTTP/1.1 {answer.status} {_PHRASES.get(answer.status, 'Unknown')}",
            f"Date: {formatdate(self.server.clock(), usegmt=True)}",
            "Server: sandbox",
        ]
        if answer.status != 204:
            lines.append(f"Content-Type: {answer.content_type}")
            lines.append(f"Content-Length: {len(answer.body)}")
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        body = b"" if request.method == "HEAD" or answer.status == 204 else answer.body
        if delivery.cut is not None:
            raw.sendall(head + body[: delivery.cut])
            return False
        if delivery.pause > 0:
            step = max(1, len(body) // 10)
            raw.sendall(head)
            for start in range(0, len(body), step):
                time.sleep(delivery.pause)
                raw.sendall(body[start : start + step])
            return True
        raw.sendall(head + body)
        return True


def _read(stream: Any, *, secure: bool) -> Request | None:
    """The next request, or None when the client is done. Raises ValueError on nonsense."""
    if stream.peek(1)[:1] == TLS_RECORD:
        return None  # a hello on a port of HTTP, in which a line may never end
    line = stream.readline(65537)
    if not line.strip():
        return None
    method, target, _ = line.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while (field := stream.readline(65537)) not in (b"\r\n", b"\n", b""):
        name, _, value = field.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    body = stream.read(length) if length else b""
    parts = urlsplit(target if target.startswith("http") else f"http://host{target}")
    return Request(method, parts.path, parts.query, headers, body, secure)
