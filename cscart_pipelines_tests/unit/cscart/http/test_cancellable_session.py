"""Reads that nobody wants any more end at once, wherever they wait; nothing is asked afterwards."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.errors import RequestCancelledError, ShopError
from cscart_pipelines.cscart.http.cancellable_session import OpenConnections

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
PATIENCE = 60
"""Seconds until a test gives up; what is tested would otherwise take ten times as long."""


class SilentShop:
    """Hears requests and never finishes an answer. `opening`: how far it gets."""

    def __init__(self, opening: bytes = b"", tls: ssl.SSLContext | None = None) -> None:
        self.opening = opening
        self.tls = tls
        self.asked: list[str] = []
        self.heard = threading.Event()
        self.over = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> SilentShop:
        self.thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.over.set()
        # A closed listener does not wake who accepts.
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5):
            pass
        self.thread.join(PATIENCE)
        self.listener.close()

    def _serve(self) -> None:
        with contextlib.ExitStack() as open_ends:
            while not self.over.is_set():
                line, _ = self.listener.accept()
                open_ends.callback(line.close)
                with contextlib.suppress(OSError):
                    if self.over.is_set():
                        return
                    first = self._hear(line)
                    if first.startswith("CONNECT"):
                        line.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    if self.tls is not None:
                        line = self.tls.wrap_socket(line, server_side=True)
                        open_ends.callback(line.close)
                        first = self._hear(line)
                    self.asked.append(first)
                    line.sendall(self.opening)
                    self.heard.set()

    def _hear(self, line: socket.socket) -> str:
        plain = self.tls is not None and not isinstance(line, ssl.SSLSocket)
        if plain and line.recv(1, socket.MSG_PEEK) != b"C":
            return ""  # only a proxy is spoken to in the clear before the encryption
        return line.recv(65536).decode("latin-1").partition("\r\n")[0]


@contextlib.contextmanager
def reading(client: ShopClient, shop: SilentShop) -> Iterator[list[ShopError]]:
    """While somebody reads; the list has what became of it."""
    errors: list[ShopError] = []

    def read() -> None:
        try:
            client.get("orders")
        except ShopError as error:
            errors.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    assert shop.heard.wait(PATIENCE)
    yield errors
    thread.join(PATIENCE)
    assert not thread.is_alive()


def patient(url: str) -> ShopClient:
    """Waits ten minutes for an answer, and would ask five times."""
    return ShopClient(url, "a@b.example", "k", read_timeout=600, retries=5, backoff=(600, 600))


@pytest.mark.parametrize("opening", [b"", HEAD, HEAD + b"{"], ids=["silent", "head", "body"])
@pytest.mark.parametrize("way", ["http", "https", "http proxy", "https proxy"])
def test_a_read_ends_at_once_wherever_it_waits(
    way: str, opening: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secure, through = way.startswith("https"), way.endswith("proxy")
    tls = None
    if secure:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "shop.example").configure_cert(tls)
    with SilentShop(opening, tls) as shop:
        url = f"{'https' if secure else 'http'}://127.0.0.1:{shop.port}"
        if through:
            for name in ("NO_PROXY", "no_proxy"):
                monkeypatch.delenv(name, raising=False)
            for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{shop.port}")
            url = url.replace(f"127.0.0.1:{shop.port}", "shop.example")
        client = patient(url)
        with reading(client, shop) as errors:
            client.cancel("nobody waits")
        assert [(type(error), error.message) for error in errors] == [
            (RequestCancelledError, "nobody waits")
        ]
        assert client.closed
        assert len(shop.asked) == 1 and shop.asked[0].startswith("GET ")
        # Nothing is asked afterwards either.
        with pytest.raises(RequestCancelledError, match="nobody waits"):
            client.get("orders")
        assert len(shop.asked) == 1


def test_all_threads_that_read_are_woken() -> None:
    with SilentShop() as shop:
        client = patient(f"http://127.0.0.1:{shop.port}")
        with contextlib.ExitStack() as readers:
            outcomes = []
            for _ in range(4):
                shop.heard.clear()
                outcomes.append(readers.enter_context(reading(client, shop)))
            client.cancel("enough")
        assert [str(error) for errors in outcomes for error in errors] == ["enough"] * 4


def test_who_only_closes_lets_the_answer_come() -> None:
    with SilentShop(HEAD + b'{"orders": [], "params": {}}'.ljust(999)) as shop:
        client = patient(f"http://127.0.0.1:{shop.port}")
        with reading(client, shop) as errors:
            client.close()
            assert not errors
            client.cancel("later")
        assert [str(error) for error in errors] == ["later"]


def test_a_connection_opened_a_moment_too_late_is_cut_too() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        open_connections = OpenConnections()
        open_connections.cut()
        open_connections.add(ours)
        assert theirs.recv(1) == b""
    closed = socket.socket()
    closed.close()
    open_connections.add(closed)  # somebody was quicker


def test_encryption_within_encryption_is_cut_at_its_socket() -> None:
    """urllib3 has no socket there, but an object that talks over one."""

    class Transport:
        def __init__(self, inner: socket.socket) -> None:
            self.socket = inner

    ours, theirs = socket.socketpair()
    with ours, theirs:
        open_connections = OpenConnections()
        transport: Any = Transport(ours)
        open_connections.add(transport)
        open_connections.cut()
        assert theirs.recv(1) == b""
