"""A server that answers every request with the same bytes: what no shop sends, but networks do.

Shops are played by the sandbox; this is only for answers that are no HTTP, or not a shop's.
"""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def canned_server(reply: bytes, seen: list[bytes] | None = None) -> Iterator[str]:
    """The base address of a server that sends `reply` and closes; requests go to `seen`."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            asked = b""
            while b"\r\n\r\n" not in asked and not asked.startswith(b"\x16"):  # TLS says hello
                piece = self.request.recv(65536)
                if not piece:
                    return
                asked += piece
            if seen is not None:
                seen.append(asked)
            # Said aloud, so that the client does not race to use the connection once more.
            self.request.sendall(reply.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))

    with served(Handler) as url:
        yield url


@contextmanager
def served(handler: type[socketserver.BaseRequestHandler]) -> Iterator[str]:
    """A server with this handler in a thread of its own; yields its address."""

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
