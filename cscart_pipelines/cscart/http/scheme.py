"""Detects whether a port speaks http or https, after a connection test has failed on it.

With the wrong one a server breaks the connection, waits, or answers with a page of its own, so that
the failure does not show the cause. Not here: the connection test (`capabilities`).
"""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

from requests.utils import get_environ_proxies

from cscart_pipelines.cscart.errors import (
    ApiNotFoundError,
    CredentialsRefusedError,
    RedirectRefusedError,
    ShopError,
    UnreachableError,
)

SECONDS = 5.0
_TOLD_ALREADY = (CredentialsRefusedError, RedirectRefusedError, UnreachableError)


def wrong_scheme(base: str, failure: ShopError) -> ShopError | None:
    """Returns the error to raise instead of `failure` if the port speaks the other scheme.

    No credentials are sent. Behind a proxy nothing is tested, since only the proxy may connect.

    Args:
        base: The base address.
        failure: Of the connection test.
    """
    if isinstance(failure, _TOLD_ALREADY) or getattr(failure, "certificate", False):
        return None
    parts = urlsplit(base)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    if get_environ_proxies(base):
        return None
    try:
        with socket.create_connection((host, port), timeout=SECONDS) as line:
            other = _other(line, host, parts.scheme)
    except (OSError, ValueError):
        return None
    if other is None:
        return None
    shown = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}[other]
    use = f"{other}://{shown}" + ("" if port == default else f":{port}") + parts.path
    if other == "http":
        return ApiNotFoundError(
            f"{shown} answers plain HTTP on port {port}, and the address says https: use {use} (the"
            " API key then travels unencrypted), or the port on which the shop speaks https."
        )
    return ApiNotFoundError(
        f"{shown} speaks https on port {port}, and the address says http: use {use}."
    )


def _other(line: socket.socket, host: str, scheme: str) -> str | None:
    """Returns the scheme that the port speaks, if it is not the one of the address."""
    if scheme == "http":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent
        with context.wrap_socket(line, server_hostname=host):
            return "https"
    line.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("ascii"))
    said = line.recv(64)
    # Web servers answer a plain request to a port of TLS in plain HTTP, with 400.
    return "http" if said.startswith(b"HTTP/") and b" 400 " not in said else None
