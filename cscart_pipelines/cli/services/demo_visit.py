"""The demo's visit to the sandbox's storefront: look around, register, subscribe, buy.

Without a browser: pages are fetched and forms are posted, and the events that the tag would send
are sent to a real collector. From there on everything is as in production: the change queue, the
shop's API, the list.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from cscart_pipelines import dbt_project
from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.support import console, exit_codes
from cscart_pipelines.integrations.connection import open_client
from cscart_pipelines.integrations.sync_runs import optimistic_load
from cscart_pipelines.onsite import change_queue
from cscart_pipelines.onsite.erasure import erase_order
from cscart_pipelines.onsite.write_keys import write_key
from cscart_pipelines.sync.targeted.sync import TargetedReport, sync_targeted
from cscart_pipelines.warehouse import reports
from cscart_pipelines.warehouse.driver import Connection

EMAIL = "visitor@mail.internal"
AGENT = "Mozilla/5.0 (X11; Linux x86_64) cscart-pipelines demo"
MODELS = ("+subscribers", "+onsite_sessions")
"""Rebuilt after the visit. The others follow with the next whole build; `make up` makes it."""
KEY_WAIT_SECONDS = 15.0
"""The collector must have read the write key within this time."""

Event = dict[str, Any]


@dataclass
class Visitor:
    """A visitor who has agreed to tracking.

    Attributes:
        shop_url: address of the shop.
        events_url: address of the collector, with the write key.
        http: the visitor's cookies.
        name: the visitor id.
        told: how many events the collector has acknowledged.
    """

    shop_url: str
    events_url: str
    http: requests.Session = field(default_factory=requests.Session)
    name: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    told: int = 0
    _waiting: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.http.trust_env = False
        self.http.headers["User-Agent"] = AGENT

    def see(self, dispatch: str, **query: object) -> requests.Response:
        """Opens a page; its page view waits to be sent."""
        params = {"dispatch": dispatch, **{name: str(value) for name, value in query.items()}}
        return self._arrived(self.http.get(self._index, params=params, timeout=30))

    def post(self, button: str, **fields: object) -> requests.Response:
        """Posts a form; the view of the page that follows waits to be sent."""
        form = {f"dispatch[{button}]": "", **{name: str(value) for name, value in fields.items()}}
        return self._arrived(self.http.post(self._index, data=form, timeout=30))

    def tell(self, name: str, dispatch: str, **more: Any) -> None:
        """Adds an event to those that wait to be sent."""
        place = f"{urlsplit(self._index).path}?dispatch={dispatch}"
        found = {"id": secrets.token_urlsafe(16), "name": name, "at": _now(), "page": place}
        self._waiting.append({**found, **more})

    def send(self, email: str | None = None) -> None:
        """Sends what waits as one batch, again until it is acknowledged.

        Raises:
            CommandError: the collector refuses it.
        """
        batch: Event = {"v": 1, "visitor": self.name, "events": self._waiting}
        if email is not None:
            batch["identity"] = {"email_sha256": hashlib.sha256(email.encode()).hexdigest()}
        for _ in self._tries():
            answer = self.http.post(
                self.events_url, json={**batch, "sent_at": _now()}, timeout=30,
                headers={"Origin": _origin(self.shop_url), "Content-Type": "text/plain"},
            )  # fmt: skip
            if answer.status_code == 204:
                self.told += len(self._waiting)
                self._waiting = []
                return
            if answer.status_code not in (403, 404, 410, 503):  # it may not know the key yet
                break
        raise exit_codes.CommandError(f"the collector answered {answer.status_code}")

    @property
    def _index(self) -> str:
        return f"{self.shop_url}/index.php"

    def _arrived(self, answer: requests.Response) -> requests.Response:
        answer.raise_for_status()
        shown = parse_qs(urlsplit(answer.url).query).get("dispatch", ["index.index"])[0]
        self.tell("page_view", shown)
        return answer

    def _tries(self) -> Iterator[None]:
        ends = time.monotonic() + KEY_WAIT_SECONDS
        while time.monotonic() < ends:
            yield
            time.sleep(0.1)


def show_visit(app: AppContext, key: str, shop_url: str, collector_url: str) -> None:
    """Makes a visit, and prints what it has changed.

    Args:
        app: the warehouse, the registry and the settings.
        key: of the integration.
        shop_url: address of the sandbox shop.
        collector_url: address of the collector.

    Raises:
        CommandError: a step of the visit did not do what it should.
    """
    with app.warehouse.connect(autocommit=True) as connection:
        visitor = Visitor(shop_url, f"{collector_url}/v1/events/{write_key(connection, key)}")
        before = reports.subscriber_count(connection, key)
        with console.err.status("a visitor in the shop"):
            order = _visit(visitor, connection, key)
        told = f"{visitor.told} events, acknowledged by the collector"
        console.note(
            f"[green]✓[/] a visit to the storefront: {EMAIL} looks around, registers, subscribes"
            f" to the newsletter, buys (order {order})\n  {told}",
            soft_wrap=True,
        )
        with console.err.status("following the visit into the shop"):
            report = _follow(app, connection, key)
        with console.err.status("bringing the list up to date"):
            _build(app, key)
        after = reports.subscriber_count(connection, key)
        console.note(
            f"[green]✓[/] followed into the shop with {report.calls} requests:"
            f" the list has {before:,} → {after:,} subscribers",
            soft_wrap=True,
        )
        console.out.print(f"  {_session(connection, key, visitor.name)}", soft_wrap=True)


def _visit(visitor: Visitor, connection: Connection, key: str) -> int:
    """Makes the visit and returns the number of its order."""
    home = visitor.see("index.index")
    found = re.search(r"product_data\[(\d+)\]\[product_id\]|product_id=(\d+)", home.text)
    if found is None:
        raise exit_codes.CommandError("the sandbox's storefront shows no product")
    product = found[1] or found[2]
    item = {"product_id": product, "quantity": 1}
    visitor.see("products.view", product_id=product)
    visitor.tell("view_item", "products.view", items=[item])
    visitor.send()
    visitor.post(
        "profiles.update",
        **{"user_data[email]": EMAIL, "user_data[firstname]": "Maria"},
        **{"user_data[lastname]": "Visitor"},
        **dict.fromkeys(("user_data[password1]", "user_data[password2]"), secrets.token_hex(8)),
    )
    visitor.tell("sign_up", "profiles.add")
    visitor.post("newsletters.add_subscriber", subscribe_email=EMAIL)
    visitor.tell("subscribe", "profiles.success_add")
    visitor.send(EMAIL)
    visitor.post(
        "checkout.add", **{f"product_data[{product}][{name}]": v for name, v in
                           (("product_id", product), ("amount", 1))},
    )  # fmt: skip
    visitor.tell("add_to_cart", "products.view", items=[item], source="hook")
    visitor.see("checkout.checkout")
    visitor.tell("begin_checkout", "checkout.checkout")
    done = visitor.post("checkout.place_order", **{"user_data[s_country]": "GR"})
    order = parse_qs(urlsplit(done.url).query).get("order_id", [""])[0]
    if not order:
        raise exit_codes.CommandError("the sandbox's storefront took no order")
    # The sandbox begins anew with every start: in an earlier demo the number was another order's,
    # and of every order only the first purchase counts.
    erase_order(connection, key, order)
    visitor.tell("purchase", "checkout.complete", order_id=order, items=[item])
    visitor.send(EMAIL)
    return int(order)


def _follow(app: AppContext, connection: Connection, key: str) -> TargetedReport:
    """Does for one shop what the job follow_onsite does for all."""
    touches = change_queue.due(connection, key)
    people = {one.value for one in touches if one.kind == change_queue.PERSON}
    snapshot = optimistic_load.begin(connection, app.registry, key)
    with open_client(snapshot.integration, app.registry, app.settings, brief=True) as client:
        report = sync_targeted(
            connection,
            snapshot,
            client,
            {int(one.value) for one in touches if one.kind == change_queue.ORDER},
            dict.fromkeys(people, ()),
        )
    change_queue.done(connection, touches)
    return report


def _build(app: AppContext, key: str) -> None:
    where = app.warehouse.dbt_environment()
    with dbt_project.build_folder(where, f"demo-{os.getpid()}") as target:
        done = subprocess.run(
            [dbt_project.dbt_executable(), "run", dbt_project.WITHOUT_ARTIFACTS,
             "--select", *MODELS, "--target-path", str(target), "--log-path", str(target)],
            env={**os.environ, **where, "CSCART_PIPELINES_DBT_INTEGRATIONS": key},
            cwd=dbt_project.PROJECT_DIR,
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
    if done.returncode != 0:
        raise exit_codes.CommandError(f"the list could not be rebuilt:\n{done.stdout[-2000:]}")


def _session(connection: Connection, key: str, visitor: str) -> str:
    """Returns the visit as analysts see it."""
    session = reports.onsite_session(connection, key, visitor)
    if session is None:
        raise exit_codes.CommandError("the visit is not in analytics.onsite_sessions")
    return (
        "in analytics.onsite_sessions: {identity}, {page_views} pages, {product_views} product"
        " viewed, {adds_to_cart} put into the cart, {purchases} order".format_map(session)
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _now() -> int:
    return time.time_ns() // 1_000_000
