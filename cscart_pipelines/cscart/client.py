"""The client of one shop's API: authentication, time-outs, retries, limit of parallel requests.

Not here: addresses, bodies and errors of HTTP (`http`), what to request (`lists`, `writes`).

Safe verbs are retried with full-jitter exponential back-off after network errors, 429, 5xx and
pages that are not JSON (reference 7.4). A write is repeated only if it certainly never reached the
shop (no connection, or 429); otherwise AmbiguousWriteError is raised. Redirects are never followed,
because the key would be sent to another address.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import orjson
import requests
import urllib3.exceptions
from pydantic import SecretStr

from cscart_pipelines.cscart.errors import (
    AmbiguousWriteError,
    RequestCancelledError,
    ShopError,
    TlsError,
    TransientShopError,
    UnreachableError,
)
from cscart_pipelines.cscart.http import error_mapping
from cscart_pipelines.cscart.http.address import ApiAddress, Params, Style, normalise_base_url
from cscart_pipelines.cscart.http.cancellable_session import OpenConnections
from cscart_pipelines.cscart.http.request_stats import Call, CallStats
from cscart_pipelines.cscart.http.responses import (
    KEPT_HEADERS,
    ApiResponse,
    NotJsonError,
    parse_body,
    parse_date,
)
from cscart_pipelines.cscart.http.session import open_session, read_whole

__all__ = ["ApiResponse", "Call", "CallStats", "ShopClient"]

log = logging.getLogger(__name__)

MAX_WAIT = 120.0
"""Seconds: the longest Retry-After that is honoured."""


@dataclass(frozen=True)
class _Request:
    """The request that one call makes, perhaps several times."""

    verb: str
    entity: str
    id: int | str | None
    url: str
    page: Any
    size: Any
    data: bytes | None

    def __str__(self) -> str:
        text = self.entity if self.id is None else f"{self.entity}/{self.id}"
        if self.page is not None:
            text += f" page {self.page} of {self.size}"
        return f"{self.verb} {text}"


class ShopClient:
    """The API of one shop. Safe to use from several threads; close it, or use it in a `with`.

    Args:
        base_url: Is normalised.
        email: Of the administrator whose key it is.
        api_key: Is never shown in messages and logs.
        style: How the web server hands requests to the API (reference 2.1, 2.3).
        connect_timeout: Seconds.
        read_timeout: Seconds between two pieces of an answer; a whole one may take three times as
            long.
        max_parallel: Requests under way at most, however many threads use the client.
        retries: Repetitions: 5 means 6 requests.
        backoff: Base and cap, seconds.
        sleep: For tests.
        rng: For tests.
        on_call: Is called after every request, in the thread that made it.

    Raises:
        InvalidAddressError: `base_url` is not the address of a shop.
    """

    def __init__(
        self,
        base_url: str,
        email: str,
        api_key: SecretStr | str,
        *,
        style: Style = "rewrite",
        connect_timeout: float = 10,
        read_timeout: float = 120,
        max_parallel: int = 4,
        retries: int = 5,
        backoff: tuple[float, float] = (0.5, 30.0),
        sleep: Callable[[float], object] | None = None,
        rng: random.Random | None = None,
        on_call: Callable[[Call], object] | None = None,
    ) -> None:
        self.address = ApiAddress(normalise_base_url(base_url), style)
        self.stats = CallStats()
        self.max_parallel = max_parallel
        self._timeout = (connect_timeout, read_timeout)
        self._retries = retries
        self._backoff = backoff
        self._closed = threading.Event()
        self._cancelled: str | None = None
        self._open_connections = OpenConnections()
        self._sleep = sleep or self._closed.wait
        self._rng = rng or random.Random()  # noqa: S311 (spreads retries, hides nothing)
        self._on_call = on_call
        self._slots = threading.BoundedSemaphore(max_parallel)
        key = api_key if isinstance(api_key, SecretStr) else SecretStr(api_key)
        self._session = open_session(
            self.address.base, email, key, max_parallel, self._open_connections
        )

    def __repr__(self) -> str:
        return f"ShopClient({self.address.base!r}, style={self.address.style!r})"

    def __enter__(self) -> ShopClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the kept connections; threads that wait for a retry give up."""
        self._closed.set()
        self._session.close()

    def cancel(self, reason: str) -> None:
        """Closes the client and the connections of requests under way, which fail at once.

        They raise RequestCancelledError(reason). Only for clients that read: a write may have been
        done.
        """
        self._cancelled = reason
        self.close()
        self._open_connections.cut()

    @property
    def closed(self) -> bool:
        """Whether it was closed: then a loop over a list should begin no further request."""
        return self._closed.is_set()

    def pause(self, seconds: float) -> bool:
        """Waits between two tries. Returns True if the client was closed meanwhile."""
        return self._closed.wait(seconds)

    def get(
        self,
        entity: str,
        *,
        id: int | str | None = None,
        params: Params | None = None,
        retries: int | None = None,
        heavy_retries: int | None = None,
    ) -> ApiResponse:
        """Reads a list, or one row.

        Args:
            entity: `orders`, `users`, …
            id: Of the row; None for the list.
            params: Of the query.
            retries: Instead of the client's.
            heavy_retries: Instead of `retries` for failures that a smaller page might avoid (5xx,
                time-outs, broken pages), for a caller that then requests one.

        Raises:
            TransientShopError: After the last retry.
            PermanentShopError: At once.
            RequestCancelledError: After `cancel`.
        """
        limit = self._retries if retries is None else retries
        heavy = limit if heavy_retries is None else heavy_retries
        request = self._request("GET", entity, id, params, None)
        attempt = 0
        while True:
            self._raise_if_cancelled()
            outcome = self._attempt(request)
            if isinstance(outcome, ApiResponse):
                return outcome
            self._raise_if_cancelled()
            if not isinstance(outcome, TransientShopError):
                raise outcome
            if attempt >= (min(limit, heavy) if outcome.lighter_may_help else limit):
                raise outcome
            self._wait(request, outcome, attempt)
            attempt += 1

    def post(
        self,
        entity: str,
        body: Mapping[str, Any],
        *,
        params: Params | None = None,
        before_resend: Callable[[], object] | None = None,
    ) -> ApiResponse:
        """Creates a row.

        Args:
            entity: `shipments`, …
            body: Sent as JSON.
            params: Of the query.
            before_resend: Is called before the request is sent again, which may be minutes later;
                an exception of it ends the call.

        Raises:
            RejectedWriteError: The shop refused it; nothing was changed.
            AmbiguousWriteError: The answer was lost; it may have been done.
            TransientShopError: It was not sent, even after the last retry.
        """
        return self._write("POST", entity, None, body, params, before_resend)

    def put(
        self,
        entity: str,
        id: int | str,
        body: Mapping[str, Any],
        *,
        params: Params | None = None,
        before_resend: Callable[[], object] | None = None,
    ) -> ApiResponse:
        """Changes the sent fields of a row. Raises as `post`; 200 is no proof (reference 8.8)."""
        return self._write("PUT", entity, id, body, params, before_resend)

    def delete(self, entity: str, id: int | str, *, params: Params | None = None) -> ApiResponse:
        """Deletes a row. Raises as `post`, and NotFoundError."""
        return self._write("DELETE", entity, id, None, params)

    def _request(
        self,
        verb: str,
        entity: str,
        id: int | str | None,
        params: Params | None,
        data: bytes | None,
    ) -> _Request:
        params = params or {}
        return _Request(
            verb,
            entity,
            id,
            self.address.url(entity, id, params),
            params.get("page"),
            params.get("items_per_page"),
            data,
        )

    def _write(
        self,
        verb: str,
        entity: str,
        id: int | str | None,
        body: Mapping[str, Any] | None,
        params: Params | None,
        before_resend: Callable[[], object] | None = None,
    ) -> ApiResponse:
        data = None if body is None else orjson.dumps(body)
        request = self._request(verb, entity, id, params, data)
        attempt = 0
        while True:
            self._raise_if_cancelled()
            outcome = self._attempt(request)
            if isinstance(outcome, ApiResponse):
                return outcome
            if isinstance(outcome, TlsError) and not outcome.certificate:
                raise AmbiguousWriteError(f"It is not known whether {request} was done: {outcome}")
            if not isinstance(outcome, TransientShopError):
                raise outcome
            if not (isinstance(outcome, UnreachableError) or outcome.cause == "busy"):
                raise AmbiguousWriteError(f"It is not known whether {request} was done: {outcome}")
            if attempt >= self._retries:
                raise outcome
            self._wait(request, outcome, attempt)
            if before_resend is not None:
                before_resend()
            attempt += 1

    def _wait(self, request: _Request, error: TransientShopError, attempt: int) -> None:
        base, cap = self._backoff
        delay = self._rng.uniform(0, min(cap, base * 2 ** min(attempt, 30)))
        # Only 429 is obeyed: a crash page of shops up to 4.7 carries Retry-After: 300 as well
        # (reference 7.2), and a broken order would cost half an hour of waiting.
        if error.cause == "busy" and error.retry_after is not None:
            delay = max(delay, min(error.retry_after, MAX_WAIT))
        log.warning("%s: %s Again in %.1f s.", request, error, delay)
        self.stats.add_retry()
        self._sleep(delay)
        if self._closed.is_set():
            self._raise_if_cancelled()
            raise error

    def _raise_if_cancelled(self) -> None:
        if self._cancelled is not None:
            raise RequestCancelledError(self._cancelled)

    def _attempt(self, request: _Request) -> ApiResponse | ShopError:
        """Sends one request. An error is returned, and raised where no request is chained to it."""
        with self._slots:
            started = time.monotonic()
            sent = self._send(request)
            seconds = time.monotonic() - started
        status, size = None, 0
        outcome: ApiResponse | ShopError
        if isinstance(sent, ShopError):
            outcome = sent
        else:
            response, content = sent
            status, size = response.status_code, len(content)
            outcome = self._interpret(request, response, content, seconds)
        error = None if isinstance(outcome, ApiResponse) else type(outcome).__name__
        notices = isinstance(outcome, ApiResponse) and outcome.notices
        self.stats.add(seconds=seconds, size=size, notices=notices)
        log.debug("%s: %s, %.0f ms, %d bytes", request, status or error, seconds * 1000, size)
        if self._on_call is not None:
            self._on_call(Call(request.verb, request.entity, status, seconds, size, error))
        return outcome

    def _send(self, request: _Request) -> tuple[requests.Response, bytes] | ShopError:
        headers = {"Content-Type": "application/json"} if request.data is not None else None
        try:
            response = self._session.request(
                request.verb,
                request.url,
                data=request.data,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            )
            return response, read_whole(response, deadline=3 * self._timeout[1])
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return error_mapping.from_exception(error, self.address, str(request))

    def _interpret(
        self, request: _Request, response: requests.Response, content: bytes, seconds: float
    ) -> ApiResponse | ShopError:
        """Returns the response for a success with JSON (or 204), else the error."""
        status = response.status_code
        body, notices, is_json = None, False, True
        if status != 204:
            try:
                body, notices = parse_body(content)
            except NotJsonError:
                is_json = False
        if not 200 <= status < 300:
            return error_mapping.from_response(
                response,
                body if is_json else None,
                is_json,
                address=self.address,
                verb=request.verb,
                entity=request.entity,
                id=request.id,
            )
        if not is_json and not (request.verb == "DELETE" and not content.strip()):
            return error_mapping.unreadable(content, self.address, str(request))
        headers = {k: v for k in KEPT_HEADERS if (v := response.headers.get(k)) is not None}
        date = parse_date(headers.get("date"))
        return ApiResponse(status, body, date, seconds, len(content), headers, notices)
