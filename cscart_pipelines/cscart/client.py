"""One shop's line: a session that asks, waits, retries and says plainly what went wrong.

Here belong authentication, time-outs, retries, the limit of parallel requests and the counting of
calls. Not here: addresses (address), reading bytes (answers), naming failures (failures), what to
ask for (paging, lists and the sync room).

Safe verbs are retried with full-jitter exponential back-off after network errors, 429, 5xx and
pages that are not JSON (reference 7.4). A write is repeated only if it certainly never reached the
shop (no connection, or 429); otherwise AmbiguousWriteError. Redirects
are never followed: the key would travel.
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
    """What one call asks for."""

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

    `base_url` is normalised (InvalidAddressError if it cannot be). `connect_timeout`,
    `read_timeout`, `backoff` (base, cap) in seconds; the read time-out counts between two pieces of
    an answer, a whole answer may take three times as long. `retries` counts
    repetitions: 5 means 6 requests.
    `max_parallel` requests are on their way at most, however many threads ask. `sleep`, `rng`:
    for tests. `on_call` is told every request, in the thread that made it.
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
        self._wires = OpenConnections()
        self._sleep = sleep or self._closed.wait
        self._rng = rng or random.Random()  # noqa: S311 (spreads retries, hides nothing)
        self._on_call = on_call
        self._slots = threading.BoundedSemaphore(max_parallel)
        key = api_key if isinstance(api_key, SecretStr) else SecretStr(api_key)
        self._session = open_session(self.address.base, email, key, max_parallel, self._wires)

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
        """Close the kept connections; threads that wait for a retry give up."""
        self._closed.set()
        self._session.close()

    def cancel(self, reason: str) -> None:
        """Close the client and cut what is on its way: every read fails at once.

        Reads raise RequestCancelledError(reason). Only for readers: a write that is cut may have
        been done.
        """
        self._cancelled = reason
        self.close()
        self._wires.cut()

    @property
    def closed(self) -> bool:
        """Somebody has closed it: whoever works through a list should begin nothing else."""
        return self._closed.is_set()

    def pause(self, seconds: float) -> bool:
        """Waits, as between two tries. True if the client was closed meanwhile: time to stop."""
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
        """Read a list (no id) or one row.

        `heavy_retries` replaces `retries` for failures that a lighter request might avoid (5xx,
        time-outs, broken pages): a caller that can ask for less gives up on the large page sooner.

        Raises:
            TransientShopError: After the last retry.
            PermanentShopError: At once.
            RequestCancelledError: After `cancel`.
        """
        limit = self._retries if retries is None else retries
        heavy = limit if heavy_retries is None else heavy_retries
        asked = self._asked("GET", entity, id, params, None)
        attempt = 0
        while True:
            self._raise_if_cancelled()
            outcome = self._attempt(asked)
            if isinstance(outcome, ApiResponse):
                return outcome
            self._raise_if_cancelled()
            if not isinstance(outcome, TransientShopError):
                raise outcome
            if attempt >= (min(limit, heavy) if outcome.lighter_may_help else limit):
                raise outcome
            self._wait(asked, outcome, attempt)
            attempt += 1

    def post(
        self,
        entity: str,
        body: Mapping[str, Any],
        *,
        params: Params | None = None,
        again: Callable[[], object] | None = None,
    ) -> ApiResponse:
        """Create a row. Raises RejectedWriteError if refused, AmbiguousWriteError if nobody knows.

        `again` is called right before the request is sent another time, which may be minutes later;
        what it raises ends the matter.
        """
        return self._write("POST", entity, None, body, params, again)

    def put(
        self,
        entity: str,
        id: int | str,
        body: Mapping[str, Any],
        *,
        params: Params | None = None,
        again: Callable[[], object] | None = None,
    ) -> ApiResponse:
        """Change the sent fields of a row. Raises as `post`; 200 is no proof (reference 8.8)."""
        return self._write("PUT", entity, id, body, params, again)

    def delete(self, entity: str, id: int | str, *, params: Params | None = None) -> ApiResponse:
        """Delete a row. Raises as `post`, and NotFoundError."""
        return self._write("DELETE", entity, id, None, params)

    def _asked(
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
        again: Callable[[], object] | None = None,
    ) -> ApiResponse:
        data = None if body is None else orjson.dumps(body)
        asked = self._asked(verb, entity, id, params, data)
        attempt = 0
        while True:
            self._raise_if_cancelled()
            outcome = self._attempt(asked)
            if isinstance(outcome, ApiResponse):
                return outcome
            if isinstance(outcome, TlsError) and not outcome.certificate:
                raise AmbiguousWriteError(f"It is not known whether {asked} was done: {outcome}")
            if not isinstance(outcome, TransientShopError):
                raise outcome
            if not (isinstance(outcome, UnreachableError) or outcome.cause == "busy"):
                raise AmbiguousWriteError(f"It is not known whether {asked} was done: {outcome}")
            if attempt >= self._retries:
                raise outcome
            self._wait(asked, outcome, attempt)
            if again is not None:
                again()
            attempt += 1

    def _wait(self, asked: _Request, error: TransientShopError, attempt: int) -> None:
        base, cap = self._backoff
        delay = self._rng.uniform(0, min(cap, base * 2 ** min(attempt, 30)))
        # Only 429 is obeyed: a crash page of shops up to 4.7 carries Retry-After: 300 as well
        # (reference 7.2), and a broken order would make us sleep for half an hour.
        if error.cause == "busy" and error.retry_after is not None:
            delay = max(delay, min(error.retry_after, MAX_WAIT))
        log.warning("%s: %s Again in %.1f s.", asked, error, delay)
        self.stats.add_retry()
        self._sleep(delay)
        if self._closed.is_set():
            self._raise_if_cancelled()
            raise error

    def _raise_if_cancelled(self) -> None:
        if self._cancelled is not None:
            raise RequestCancelledError(self._cancelled)

    def _attempt(self, asked: _Request) -> ApiResponse | ShopError:
        """One request. The error is returned, to be raised where no request hangs on to it."""
        with self._slots:
            started = time.monotonic()
            sent = self._send(asked)
            seconds = time.monotonic() - started
        status, size = None, 0
        outcome: ApiResponse | ShopError
        if isinstance(sent, ShopError):
            outcome = sent
        else:
            response, content = sent
            status, size = response.status_code, len(content)
            outcome = self._understand(asked, response, content, seconds)
        error = None if isinstance(outcome, ApiResponse) else type(outcome).__name__
        notices = isinstance(outcome, ApiResponse) and outcome.notices
        self.stats.add(seconds=seconds, size=size, notices=notices)
        log.debug("%s: %s, %.0f ms, %d bytes", asked, status or error, seconds * 1000, size)
        if self._on_call is not None:
            self._on_call(Call(asked.verb, asked.entity, status, seconds, size, error))
        return outcome

    def _send(self, asked: _Request) -> tuple[requests.Response, bytes] | ShopError:
        headers = {"Content-Type": "application/json"} if asked.data is not None else None
        try:
            response = self._session.request(
                asked.verb,
                asked.url,
                data=asked.data,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            )
            return response, read_whole(response, deadline=3 * self._timeout[1])
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return error_mapping.from_exception(error, self.address, str(asked))

    def _understand(
        self, asked: _Request, response: requests.Response, content: bytes, seconds: float
    ) -> ApiResponse | ShopError:
        """An Answer for a success with JSON (or none, 204); the right error for all else."""
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
                verb=asked.verb,
                entity=asked.entity,
                id=asked.id,
            )
        if not is_json and not (asked.verb == "DELETE" and not content.strip()):
            return error_mapping.unreadable(content, self.address, str(asked))
        headers = {k: v for k in KEPT_HEADERS if (v := response.headers.get(k)) is not None}
        date = parse_date(headers.get("date"))
        return ApiResponse(status, body, date, seconds, len(content), headers, notices)
