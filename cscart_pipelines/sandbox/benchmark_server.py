"""A shop of any size for benchmarks: rows are rendered before the clock starts.

An answer is a join of prepared bytes with the row's numbers stamped in, about 2 µs a row, so that
what is measured is the client; memory does not grow with the number of orders. It knows lists
sorted by id either way, `updated_at_from/to`, `order_id`, `get_orders_data`, and one prepared
change (`POST /_sandbox/change`): a day passes and every 100th order gets another status and a new
`updated_at`. It runs as a process of its own (`python -m`). Not a faithful shop: faults, writes and
the other filters are `server`'s.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import sys
import threading
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from cscart_pipelines.sandbox.api.base import ApiUser, ShopState
from cscart_pipelines.sandbox.api.render_orders import OrderRenderer
from cscart_pipelines.sandbox.data.cdnow_catalogue import cut_lines, fill_catalogue
from cscart_pipelines.sandbox.data.cdnow_people import person
from cscart_pipelines.sandbox.http.http_server import Delivery, WireServer
from cscart_pipelines.sandbox.http.php import intval, parse_query, truthy
from cscart_pipelines.sandbox.http.responses import ApiError, SandboxResponse, error
from cscart_pipelines.sandbox.http.routing import Request, Router
from cscart_pipelines.sandbox.server import API_KEY, EMAIL
from cscart_pipelines.sandbox.shop.model import Order
from cscart_pipelines.sandbox.shop.store import Store

DAY = 86_400
NOW = 1_760_000_000  # the shop's clock before the change
SPAN = 500 * DAY  # orders are spread over so long
CHANGED_EVERY = 100
TEMPLATES = 200  # different orders; the rest are copies with numbers of their own
_ID, _USER, _WHEN, _CHANGED = b"7000000001", b"7000000002", b"7000000003", b"7000000004"
_STATUS = b"~~"
_MARKS = (_ID, _USER, _WHEN, _CHANGED, _STATUS)
_ORDERS = re.compile(r"/orders(?:/(\d+))?$")


class CannedShop:
    """`orders` orders, numbered from 1, of a third as many customers."""

    def __init__(self, orders: int, *, profile: str = "4.20") -> None:
        self.count = orders
        self.users = max(1, orders // 3)
        self.changed = False
        self.served = 0  # requests since the start
        store = Store(profile, clock=self.clock)
        products = fill_catalogue(store, NOW - SPAN - DAY)
        renderer = OrderRenderer(store)
        dice = random.Random(f"canned {orders}")  # noqa: S311 - repeatable, not secret
        self._details: list[list[bytes]] = []
        self._rows: list[list[bytes]] = []
        for number in range(TEMPLATES):
            who = person(number + 1)
            pieces = dice.randint(1, 6)
            value = Decimal(dice.randrange(999, 20_000)) / 100
            order = Order(
                int(_ID),
                int(_USER),
                email=f"user.{_USER.decode()}@mail.internal",
                firstname=who.firstname,
                lastname=who.lastname,
                phone=who.phone,
                status=_STATUS.decode(),
                timestamp=int(_WHEN),
                updated_at=int(_CHANGED),
                lines=cut_lines(dice, products, number % 10, pieces, value, discounted=False),
                ship_to=who.address,
                bill_to=who.address,
            )
            order.total = order.subtotal
            self._details.append(_pieces(orjson.dumps(renderer.detail_object(order))))
            self._rows.append(_pieces(orjson.dumps(renderer.row_object(order))))
        state = ShopState(store, renderer, page_size=50, zone=ZoneInfo("UTC"))
        self._store = store
        self._router = Router(state, ApiUser(EMAIL, API_KEY))

    def clock(self) -> float:
        """Unix time of the shop."""
        return float(NOW + DAY if self.changed else NOW)

    def respond(self, request: Request) -> Delivery:
        """Answers from the prepared rows."""
        self.served += 1
        if not self._router.authorised(request):
            return Delivery(error(ApiError(401), self._store.profile))
        path = request.path.rstrip("/")
        if path.endswith("/_sandbox/change"):
            self.changed = True
            return Delivery(SandboxResponse(200, b'{"changed":%d}' % (self.count // CHANGED_EVERY)))
        if path.endswith("/_sandbox/state"):
            return Delivery(SandboxResponse(200, b'{"requests":%d}' % self.served))
        orders = _ORDERS.search(path)
        if orders is not None and orders.group(1):
            key = int(orders.group(1))
            if not 1 <= key <= self.count:
                return Delivery(error(ApiError(404), self._store.profile))
            return Delivery(SandboxResponse(200, self._stamped(self._details, key)))
        if orders is not None:
            return Delivery(SandboxResponse(200, self._orders(parse_query(request.query))))
        if path.endswith("/users"):
            return Delivery(SandboxResponse(200, self._users(parse_query(request.query))))
        with self._store.lock:
            return Delivery(self._router.answer(request))

    def _orders(self, params: dict[str, Any]) -> bytes:
        detailed = self._store.profile.orders_data and truthy(params.get("get_orders_data"))
        templates = self._details if detailed else self._rows
        keys = self._matching(params)
        if params.get("sort_order") != "asc":
            keys = keys[::-1]
        size, page = _page(params, len(keys))
        rows = [self._stamped(templates, key) for key in keys[(page - 1) * size : page * size]]
        return _envelope("orders", rows, params, page, size, len(keys))

    def _matching(self, params: dict[str, Any]) -> Sequence[int]:
        everything = range(1, self.count + 1)
        if "order_id" in params:
            wanted = [intval(each) for each in str(params["order_id"]).split(",")]
            return sorted(key for key in wanted if key in everything)
        if not self._store.profile.updated_at:
            return everything
        since = intval(params.get("updated_at_from", 0))
        until = intval(params.get("updated_at_to", NOW * 2))
        if since <= self._changed_at(1) and until >= self.clock():
            return everything
        if self.changed and since > NOW - DAY:
            changed: Sequence[int] = range(CHANGED_EVERY, self.count + 1, CHANGED_EVERY)
        else:
            changed = everything
        return [key for key in changed if since <= self._changed_at(key) <= until]

    def _changed_at(self, key: int) -> int:
        if self.changed and key % CHANGED_EVERY == 0:
            return NOW + DAY // 2 + key % 3600
        return self._when(key)

    def _when(self, key: int) -> int:
        return NOW - SPAN + key * (SPAN - DAY) // self.count

    def _stamped(self, templates: list[list[bytes]], key: int) -> bytes:
        pieces = templates[key % TEMPLATES].copy()
        now_changed = self.changed and key % CHANGED_EVERY == 0
        values = {
            _ID: b"%d" % key,
            _USER: b"%d" % (key % self.users + 2),
            _WHEN: b"%d" % self._when(key),
            _CHANGED: b"%d" % self._changed_at(key),
            _STATUS: b"C" if now_changed or key % 10 else b"O",
        }
        if now_changed and key % 10:
            values[_STATUS] = b"P"
        # Marks and text alternate: every second piece is a mark.
        pieces[1::2] = [values[mark] for mark in pieces[1::2]]
        return b"".join(pieces)

    def _users(self, params: dict[str, Any]) -> bytes:
        keys: Sequence[int] = range(2, self.users + 2)
        if params.get("sort_order") == "desc":
            keys = keys[::-1]
        size, page = _page(params, self.users)
        page = min(page, max(1, math.ceil(self.users / size)))  # the last page, again and again
        rows = [_user(key) for key in keys[(page - 1) * size : page * size]]
        return _envelope("users", rows, params, page, size, self.users)


def _user(key: int) -> bytes:
    return (
        b'{"user_id":"%d","user_login":"user_%d","is_root":"N","timestamp":"1700000000",'
        b'"user_type":"C","status":"A","firstname":"First","lastname":"Last%d",'
        b'"email":"user.%d@mail.internal","company":"","company_id":"1","phone":"",'
        b'"last_login":"0","company_name":"Example Store","points":null}'
    ) % (key, key, key, key)


def _pieces(row: bytes) -> list[bytes]:
    """The row cut at its marks: text, mark, text, …, text."""
    return re.split(b"(" + b"|".join(_MARKS) + b")", row)


def _page(params: dict[str, Any], total: int) -> tuple[int, int]:
    size = intval(params.get("items_per_page", 50)) or max(1, total)
    return size, max(1, intval(params.get("page", 1)))


def _envelope(
    entity: str, rows: list[bytes], params: dict[str, Any], page: int, size: int, total: int
) -> bytes:
    echo = params | {"page": page, "items_per_page": size, "total_items": str(total)}
    head = b'{"%b":[' % entity.encode()
    return head + b",".join(rows) + b'],"params":' + orjson.dumps(echo) + b"}"


def _end_with_stdin(server: WireServer) -> None:
    sys.stdin.read()
    server.shutdown()


def main(arguments: list[str] | None = None) -> None:
    """Prints one JSON line (url, email, api_key) when ready, then serves until it is ended."""
    parser = argparse.ArgumentParser(description="a sandbox shop of prepared pages")
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--profile", default="4.20")
    parser.add_argument(
        "--until-stdin-closes",
        action="store_true",
        help="end with the process that holds the other end of the pipe",
    )
    given = parser.parse_args(arguments)
    shop = CannedShop(given.orders, profile=given.profile)
    server = WireServer(("127.0.0.1", given.port), shop.respond, clock=shop.clock)
    ready = {"url": f"http://127.0.0.1:{server.server_address[1]}"}
    ready |= {"email": EMAIL, "api_key": API_KEY}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    if given.until_stdin_closes:
        threading.Thread(target=_end_with_stdin, args=(server,), daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
