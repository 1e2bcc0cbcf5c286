"""Faults on demand: which request goes wrong, how, and before or after the shop did its work.

Rules are matched in the order they were added; the first that fires wins. Latency and slow drip
may combine with an answer, the others replace or spoil it. Sockets are the server's business.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from typing import Literal, get_args

from cscart_pipelines.sandbox.http.responses import SandboxResponse, crash_page, html, login_page
from cscart_pipelines.sandbox.http.routing import Request
from cscart_pipelines.sandbox.shop.profiles import Profile

Kind = Literal[
    "latency",
    "too_many_requests",
    "server_error",
    "truncated",
    "php_notices",
    "reset",
    "login_page",
    "slow_drip",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

NOTICES = (
    b"<br />\n<b>Notice</b>:  Undefined index: company in "
    b"<b>/path/to/store/app/functions/fn.cart.php</b> on line <b>4471</b><br />\n"
)


@dataclass
class Fault:
    """One rule. Empty matchers match everything; `count` None: as often as it matches.

    `after`: the shop does its work first (a write is applied), then the answer is lost; without it
    the work is not done. Truncation, notices and drips always come after.
    """

    kind: Kind
    method: str = ""
    path: str = ""  # part of the path
    query: str = ""  # part of the query string
    count: int | None = None
    skip: int = 0  # let this many matching requests through first
    probability: float = 1.0
    after: bool = False
    seconds: float = 0.0  # latency; pause between the bytes of a slow drip
    status: int = 0  # server_error: 0 means the version's own crash page
    retry_after: str | None = "1"
    fired: int = field(default=0)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(KINDS)}")

    def matches(self, request: Request) -> bool:
        """Whether the fault applies to the request."""
        return (
            (not self.method or self.method == request.method)
            and self.path in request.path
            and self.query in request.query
        )

    @property
    def replaces(self) -> bool:
        """True if the shop does not get to work at all."""
        return not self.after and self.kind in (
            "too_many_requests",
            "server_error",
            "reset",
            "login_page",
        )


class Faults:
    """The rules of one shop. Thread-safe; `seed` makes probabilities repeatable."""

    def __init__(self, seed: int = 0) -> None:
        self.rules: list[Fault] = []
        self.poison_orders: set[int] = set()
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._lock = threading.Lock()

    def add(self, kind: Kind, **options: object) -> Fault:
        """Adds a rule, e.g. ``add("too_many_requests", path="/orders", count=2)``."""
        fault = Fault(kind, **options)  # type: ignore[arg-type]
        with self._lock:
            self.rules.append(fault)
        return fault

    def poison(self, *order_ids: int) -> None:
        """Orders whose details crash the shop, alone and on every page that holds them."""
        self.poison_orders.update(order_ids)

    def clear(self) -> None:
        """Removes all faults."""
        with self._lock:
            self.rules.clear()
            self.poison_orders.clear()

    def pick(self, request: Request) -> Fault | None:
        """The fault that the request meets, counted down."""
        with self._lock:
            for rule in self.rules:
                if not rule.matches(request) or (
                    rule.count is not None and rule.fired >= rule.count
                ):
                    continue
                if rule.skip > 0:
                    rule.skip -= 1
                    continue
                if rule.probability < 1.0 and self._random.random() >= rule.probability:
                    continue
                rule.fired += 1
                return rule
        return None


def spoil(fault: Fault, answer: SandboxResponse | None, profile: Profile) -> SandboxResponse:
    """The answer that goes out instead of, or made from, the shop's own."""
    if fault.kind == "too_many_requests":
        made = html(429, "Too Many Requests", "<h1>Too Many Requests</h1>")
        if fault.retry_after is not None:
            made.headers["Retry-After"] = fault.retry_after
        return made
    if fault.kind == "server_error":
        if fault.status:
            return html(fault.status, "Error", f"<h1>Error {fault.status}</h1>")
        return crash_page(profile)
    if fault.kind == "login_page":
        return login_page()
    shop = answer or SandboxResponse(500)
    if fault.kind == "truncated":
        return SandboxResponse(shop.status, shop.body[: len(shop.body) // 2], shop.content_type)
    if fault.kind == "php_notices":
        return SandboxResponse(shop.status, NOTICES + shop.body, shop.content_type)
    return shop
