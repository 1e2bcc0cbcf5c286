"""The errors of `cscart.errors` for status codes and for exceptions of `requests`.

Pure (reference 3.1, 7.2, 7.4). Not here: retries (`client`).

The errors are built, not raised: the client raises them outside of its `except` blocks, so that no
chained exception brings a request, and with it the Authorization header, into a traceback.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from cscart_pipelines.cscart.errors import (
    AccessDeniedError,
    ApiNotFoundError,
    CredentialsRefusedError,
    NotFoundError,
    PermanentShopError,
    RedirectRefusedError,
    RejectedWriteError,
    ShopError,
    TlsError,
    TransientShopError,
    UnreachableError,
    privilege,
)
from cscart_pipelines.cscart.http.address import ApiAddress
from cscart_pipelines.cscart.http.responses import (
    error_messages,
    looks_like_html,
    parse_date,
    parse_retry_after,
)


def from_exception(error: Exception, address: ApiAddress, doing: str) -> ShopError:
    """Returns the error for an exception of requests, urllib3 or the socket.

    Args:
        error: The exception.
        address: Of the shop.
        doing: The request, for the message.
    """
    host = urlsplit(address.base).netloc
    chain = list(_causes(error))
    tls = next((e for e in chain if isinstance(e, ssl.SSLError)), None)
    if tls is not None and not isinstance(tls, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return _tls(tls, host)
    if isinstance(error, requests.exceptions.ProxyError) and _before_the_proxy(chain):
        return UnreachableError(f"The proxy in the way to {host} could not be used.")
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return UnreachableError(f"{host} did not accept a connection in time.")
    if any(isinstance(e, urllib3.exceptions.NameResolutionError) for e in chain):
        return UnreachableError(f"The name {host} is unknown: check the spelling of the address.")
    if any(isinstance(e, ConnectionRefusedError) for e in chain):
        return UnreachableError(f"{host} refuses connections: is the shop up, and the port right?")
    if any(isinstance(e, urllib3.exceptions.NewConnectionError) for e in chain):
        return UnreachableError(f"No connection to {host} could be made.")
    if any(
        isinstance(e, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError | TimeoutError)
        for e in chain
    ):
        return TransientShopError(f"{host} did not answer in time ({doing}).", cause="timeout")
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return ApiNotFoundError(f"The address of the shop cannot be used: {host}.")
    return TransientShopError(f"{host} broke the connection ({doing}).", cause="cut")


_NO_CONNECTION = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.NameResolutionError,
    urllib3.exceptions.ConnectTimeoutError,
    ConnectionRefusedError,
)


def _before_the_proxy(chain: list[BaseException]) -> bool:
    """Tells whether the proxy was not reached or opened no tunnel: the request was not sent.

    urllib3 raises the same class if a connection through the proxy breaks after the request was
    sent.
    """
    return any(
        isinstance(each, _NO_CONNECTION) or "Tunnel connection failed" in str(each)
        for each in chain
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields the exception and all that it wraps, in arguments and reasons too."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        item = todo.pop()
        if isinstance(item, BaseException) and id(item) not in seen:
            seen.add(id(item))
            yield item
            todo += [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]


def _tls(error: ssl.SSLError, host: str) -> TlsError:
    if isinstance(error, ssl.SSLCertVerificationError):
        why = getattr(error, "verify_message", "") or "it cannot be verified"
        return TlsError(f"The certificate of {host} is not trusted: {why}.", certificate=True)
    why = (error.reason or "no agreement").replace("_", " ").lower()
    return TlsError(
        f"No secure connection to {host} ({why}): that port may speak http instead of https."
    )


def from_response(
    response: requests.Response,
    body: Any,
    is_json: bool,
    *,
    address: ApiAddress,
    verb: str,
    entity: str,
    id: int | str | None,
) -> ShopError:
    """Returns the error for an answer that is no success.

    Args:
        response: The answer.
        body: Its JSON, if it is JSON.
        is_json: Whether it is.
        address: Of the shop.
        verb: Of the request.
        entity: Of the request.
        id: Of the request.
    """
    status = response.status_code
    host = urlsplit(address.base).netloc
    doing = f"{verb} {entity}" if id is None else f"{verb} {entity}/{id}"
    said = error_messages(body) if is_json else ()
    if 300 <= status < 400:
        return _redirect(response, address)
    wait = retry_after(response.headers)
    if status == 429:
        return TransientShopError(
            f"{host} refuses more requests for now (429, {doing}).", cause="busy", retry_after=wait
        )
    if status >= 500:
        return TransientShopError(
            f"{host} failed with {status} ({doing}).", cause="server", retry_after=wait
        )
    if status in (408, 425):
        return TransientShopError(f"{host} gave up waiting ({status}, {doing}).", cause="timeout")
    if status == 401:
        return CredentialsRefusedError(_refused(host, is_json), status=401, messages=said)
    if not is_json:
        if status == 404:
            return ApiNotFoundError(
                f"{host} answers {doing} with a web page (404) instead of the shop's API: the "
                "address is not the shop's, or its web server does not rewrite addresses.",
                status=404,
            )
        return TransientShopError(
            f"{host} answers {doing} with {status} and a page that is not the shop's: "
            "a firewall may stand in front of it.",
            cause="blocked",
            retry_after=wait,
        )
    tail = f": {'; '.join(said)}" if said else ""
    if status == 403:
        return AccessDeniedError(_denied(address, verb, entity, doing), status=403, messages=said)
    if status == 404:
        return NotFoundError(f"The shop has no {doing.partition(' ')[2]} (404).", status=404)
    if verb != "GET":
        return RejectedWriteError(
            f"The shop refused {doing} ({status}){tail}", status=status, messages=said
        )
    return PermanentShopError(
        f"The shop does not accept {doing} ({status}){tail}", status=status, messages=said
    )


def unreadable(content: bytes, address: ApiAddress, doing: str) -> TransientShopError:
    """Returns the error for a success whose body is no JSON (reference 7.4)."""
    host = urlsplit(address.base).netloc
    if not content.strip():
        what = "an empty page"
    elif looks_like_html(content):
        what = "a web page"
    else:
        what = "something that is not complete JSON"
    return TransientShopError(
        f"{host} answers {doing} with {what} instead of the shop's data.", cause="page"
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Returns the seconds for which the server asks to wait, by its own clock if it tells it."""
    now = parse_date(headers.get("Date")) or datetime.now(UTC)
    return parse_retry_after(headers.get("Retry-After"), now)


def _refused(host: str, is_json: bool) -> str:
    if is_json:
        return (
            f"{host} refused the credentials (401): check the e-mail and the API key, that the "
            "user is active with API access, and that the web server passes the header on."
        )
    return (
        f"The web server of {host} refused the request (401) before the shop saw it: it asks for "
        "a password of its own."
    )


def _denied(address: ApiAddress, verb: str, entity: str, doing: str) -> str:
    needed = privilege(entity.split("/")[-1], verb)
    text = f"The shop's user may not {doing} (403)"
    text += f": its user group needs the privilege {needed}." if needed else "."
    if address.base.startswith("http://"):
        text += " Or the shop accepts its API over https:// only."
    return text


def _redirect(response: requests.Response, address: ApiAddress) -> RedirectRefusedError:
    location = response.headers.get("Location") or ""
    base = address.base_behind(response.url or address.base, location) if location else None
    if base is not None and base != address.base:
        text = f"The address redirects; use {base} instead."
        if urlsplit(base).hostname != urlsplit(address.base).hostname:
            text = f"The address redirects to another host. If that is your shop, use {base}."
    else:
        base = None
        text = "The address redirects to a page that is not the shop's API: check the address."
    return RedirectRefusedError(text, status=response.status_code, suggested_base=base)
