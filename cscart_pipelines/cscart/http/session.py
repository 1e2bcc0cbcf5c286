"""The HTTP session of one shop: the settings of `requests`, and the reading of a body.

Not here: which requests to send, and what to do about failures (`client`).

Two settings of the environment count, read once as `requests` reads them, because operators need
them in company networks: proxies (HTTP(S)_PROXY, NO_PROXY) and a certificate bundle
(REQUESTS_CA_BUNDLE). A ~/.netrc does not count: it would replace the key. Cookies are refused:
every request authenticates itself (reference 3), and PHP answers requests of one session one by
one.
"""

from __future__ import annotations

import time
from http.cookiejar import DefaultCookiePolicy

import requests
from pydantic import SecretStr
from requests.auth import AuthBase, HTTPBasicAuth

from cscart_pipelines.cscart.http.cancellable_session import OpenConnections, TrackedAdapter

MAX_BYTES = 256 * 1024 * 1024
"""A larger body counts as a failure, after which a smaller page is requested."""
_CHUNK = 256 * 1024


class Key(AuthBase):
    """Basic authentication that does not show the key in a repr. UTF-8, as browsers send it."""

    def __init__(self, email: str, key: SecretStr) -> None:
        self._email = email
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Adds the header (called by requests)."""
        HTTPBasicAuth(self._email.encode(), self._key.get_secret_value().encode())(request)
        return request


def open_session(
    base: str, email: str, key: SecretStr, connections: int, open_connections: OpenConnections
) -> requests.Session:
    """Opens a session with keep-alive for several requests at once. TLS is always verified.

    Args:
        base: The base address of the shop, to which the environment is applied.
        email: For the authentication.
        key: For the authentication.
        connections: Kept open at most.
        open_connections: Registers them.
    """
    session = requests.Session()
    environment = session.merge_environment_settings(base, {}, None, None, None)
    session.trust_env = False
    session.proxies = dict(environment["proxies"])
    session.verify = environment["verify"]
    session.auth = Key(email, key)
    session.headers.update(
        {
            "Accept": "application/json",
            # What a cache has kept from before a write would be taken for its outcome.
            "Cache-Control": "no-cache",
            "User-Agent": "cscart-pipelines",
        }
    )
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("https://", "http://"):
        session.mount(
            scheme, TrackedAdapter(open_connections, pool_connections=1, pool_maxsize=connections)
        )
    return session


def read_whole(response: requests.Response, *, deadline: float) -> bytes:
    """Reads the whole body of a streamed response, within `deadline` seconds and MAX_BYTES.

    The time-out of the socket alone would let a slow shop send for ever.

    Raises:
        requests.RequestException: The limits are exceeded, the connection broke, or the body is
            shorter than its Content-Length (urllib3 checks that).
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
