"""The HTTP session of one shop: what it keeps, what it refuses, how it reads a body.

Here belongs how `requests` is set up. Not here: what to ask and what to do about failures (client).

The environment counts in two ways, read once at the start as `requests` reads them: the proxies
(HTTP(S)_PROXY, NO_PROXY) and an additional certificate bundle (REQUESTS_CA_BUNDLE), because both
are how an operator gets out of a company network. A ~/.netrc never counts: it would replace the
key.

Cookies are refused: every request authenticates alone (reference 3), and PHP would answer the
requests of one session one after the other.
"""

from __future__ import annotations

import time
from http.cookiejar import DefaultCookiePolicy

import requests
from pydantic import SecretStr
from requests.auth import AuthBase, HTTPBasicAuth

from cscart_pipelines.cscart.http.cancellable_session import OpenConnections, TrackedAdapter

MAX_BYTES = 256 * 1024 * 1024
"""A body beyond this is given up: a smaller page is the answer, not more memory."""
_CHUNK = 256 * 1024


class Key(AuthBase):
    """Basic authentication that does not show the key in a repr. UTF-8, as browsers send it."""

    def __init__(self, email: str, key: SecretStr) -> None:
        self._email = email
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        HTTPBasicAuth(self._email.encode(), self._key.get_secret_value().encode())(request)
        return request


def open_session(
    base: str, email: str, key: SecretStr, connections: int, wires: OpenConnections
) -> requests.Session:
    """A session with keep-alive for `connections` requests at once. TLS is always verified."""
    session = requests.Session()
    environment = session.merge_environment_settings(base, {}, None, None, None)
    session.trust_env = False
    session.proxies = dict(environment["proxies"])
    session.verify = environment["verify"]
    session.auth = Key(email, key)
    session.headers.update({"Accept": "application/json", "User-Agent": "cscart-pipelines"})
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("https://", "http://"):
        session.mount(scheme, TrackedAdapter(wires, pool_connections=1, pool_maxsize=connections))
    return session


def read_whole(response: requests.Response, *, deadline: float) -> bytes:
    """The whole body of a streamed response, within `deadline` seconds and MAX_BYTES.

    A time-out of the socket alone would let a shop drip for ever. Raises what requests raises;
    a body shorter than its Content-Length is an error (urllib3 checks it).
    """
    give_up = time.monotonic() + deadline
    chunks: list[bytes] = []
    size = 0
    try:
        for chunk in response.iter_content(_CHUNK):
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BYTES or time.monotonic() > give_up:
                raise requests.exceptions.ReadTimeout("the answer is too long")
    finally:
        response.close()
    return b"".join(chunks)
