"""What journeys of visitors share: a collector, shops connected to it, and what became of a visit.

Everything is real: the storefront, the onsite tracking file of an integration on its pages, the
browser, the collector's process, the database, the step that follows visits into the shop. Each
journey has a shop and an integration of its own. What happens on a journey is in its test.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.onsite.tracking_file import tracking_file
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines.sandbox.shop.store import Store
from cscart_pipelines.settings import Settings, read_settings
from cscart_pipelines.sync.batches.targeted import TargetedBatch, TargetedResult
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.onsite.browser import Browser
from cscart_pipelines_tests.support.onsite.collectors import (
    CollectorProcess,
    Collectors,
    collectors,
    until,
)
from cscart_pipelines_tests.support.shop.sandboxes import Clock
from cscart_pipelines_tests.support.shop.syncs import Connected

EVENT_IDS = "SELECT event_id FROM onsite.events WHERE integration = %s"
PASSWORD = "secret1"
UNREAD = ("products",)
"""Tables that following a visit does not read: stock changes with every order."""


@dataclass
class Services:
    """The services that all journeys of a module use: collector, warehouse, browser."""

    database: Database
    settings: Settings
    collectors: Collectors
    collector: CollectorProcess
    browser: Browser

    def asks(self, write_key: str, origin: str = "") -> int:
        """The collector's answer to a browser that asks whether it may send."""
        where = f"/v1/events/{write_key}"
        return self.collector.request("OPTIONS", where, Origin=origin).status

    def answered(self, status: int) -> int:
        """Batches that the collector has answered so since it was started."""
        text = self.collector.request("GET", "/metrics").body.decode()
        found = re.search(rf'batches_total{{status="{status}"}} (\d+)', text)
        return int(found[1]) if found else 0

    def collector_down(self) -> None:
        self.collector.kill()

    def collector_up(self) -> None:
        """At the same address as before."""
        self.collector = self.collectors.start(self.collector.port).ready()


@dataclass
class Journey:
    """One visitor in one shop, and what is known of that afterwards."""

    services: Services
    connected: Connected
    write_key: str
    people: dict[str, str] = field(default_factory=dict)
    """Who is behind a hash: the addresses that a test has used, by SHA-256."""
    orders: list[int] = field(default_factory=list)

    @property
    def shop(self) -> SandboxShop:
        return self.connected.shop

    @property
    def browser(self) -> Browser:
        return self.services.browser

    @property
    def store(self) -> Store:
        return self.connected.store

    # --- what the visitor does -------------------------------------------------------------------

    def go(self, dispatch: str = "index.index", **params: object) -> None:
        query = "".join(f"&{name}={quote(str(value))}" for name, value in params.items())
        self.browser.open(f"{self.shop.url}/index.php?dispatch={dispatch}{query}")

    def look_at(self, product: int) -> None:
        self.go("products.view", product_id=product)

    def add_to_cart(self, product: int, quantity: int = 1) -> None:
        """On the product's page; waits until the shop has answered."""
        self.browser.fill(f"#qty_count_{product}", str(quantity))
        self.browser.js("document.querySelector('.cm-notification-container').textContent = ''")
        self.browser.click(f"#button_cart_{product}")
        self.browser.wait_for("document.querySelector('.cm-notification-content') !== null")

    def buy(self, email: str | None = None) -> int:
        """What is in the cart, as a guest or as whoever is signed in; the order's number."""
        self.go("checkout.checkout")
        if email is not None:
            self.browser.fill('[name="user_data[email]"]', self.person(email))
            self.browser.fill('[name="user_data[s_lastname]"]', "Guest")
        self.browser.follow("#litecheckout_place_order")
        assert "checkout.complete" in self.browser.url
        number = int(self.browser.js("return new URLSearchParams(location.search).get('order_id')"))
        self.orders.append(number)
        return number

    def register(self, email: str) -> None:
        self.go("profiles.add")
        self.browser.fill('[name="user_data[email]"]', self.person(email))
        self.browser.fill('[name="user_data[password1]"]', PASSWORD)
        self.browser.fill('[name="user_data[password2]"]', PASSWORD)
        self.browser.follow("#save_profile_but")
        assert "profiles.success_add" in self.browser.url

    def sign_in(self, email: str) -> None:
        self.go("auth.login_form")
        self.browser.fill('[name="user_login"]', self.person(email))
        self.browser.fill('[name="password"]', PASSWORD)
        self.browser.follow('[name="dispatch[auth.login]"]')
        assert self.browser.shows(".ty-account-info__sign-out")

    def change_profile(self, **fields: str) -> None:
        self.go("profiles.update")
        for name, text in fields.items():
            self.browser.fill(f'[name="user_data[{name}]"]', text)
        if "email" in fields:
            self.person(fields["email"])
        self.browser.follow("#save_profile_but")
        assert "Your profile is up to date" in self.browser.text("body")

    def subscribe(self, email: str) -> None:
        self.browser.fill('[name="subscribe_email"]', self.person(email))
        self.browser.follow('[name="dispatch[newsletters.add_subscriber]"]')
        assert "you will hear from us" in self.browser.text("body")

    def waits_for_nothing(self) -> None:
        """Stays on the page until it has heard what became of everything that was sent."""
        self.browser.wait_for(
            "!Object.keys(localStorage).some(name => name.endsWith('_kept'))"
            " && performance.getEntriesByType('resource').some(one => one.name.includes('/v1/'))"
        )

    def leave(self) -> None:
        """Away from the shop: what waits is sent."""
        if self.browser.js("return 'tagRunner' in window"):
            assert self.browser.js("return window.tagRunner.errors") == []
        self.browser.open("about:blank")

    def person(self, email: str) -> str:
        self.people[hashlib.sha256(email.strip().lower().encode()).hexdigest()] = email
        return email

    def account(self, email: str) -> int:
        """One that was there before; the password is the one that `sign_in` uses."""
        made = self.store.add_customer(self.person(email), firstname="Ann")
        self.store.set_password(made.user_id, PASSWORD)
        return made.user_id

    # --- what is known of it ---------------------------------------------------------------------

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.connected.query(query, *values)

    def told(self) -> list[str]:
        """The events as words, in the order they happened: name, page, items, order, who."""
        rows = self.rows(
            "SELECT name, substring(page from 'dispatch=(.*)'), items, order_id, email_sha256"
            " FROM onsite.events WHERE integration = %s ORDER BY occurred_at, name"
        )
        return [
            " ".join(
                [
                    name,
                    page or "index.index",
                    *(
                        f"{one.get('sku', one.get('product_id'))}×{one['quantity']}"
                        for one in items or ()
                    ),
                    *([f"#{self.orders.index(int(order)) + 1}"] if order else []),
                    *([self.people[who]] if who else []),
                ]
            )
            for name, page, items, order, who in rows
        ]

    def has_told(self, *expected: str) -> None:
        """Waits for these events, and then makes sure that they are all: nothing is doubled."""
        self._settle()
        told, wanted = Counter(self.told()), Counter(expected)
        assert told == wanted, f"too much: {told - wanted}, too little: {wanted - told}"

    def _settle(self) -> None:
        """Until the collector has all that the browser keeps because nobody said it had arrived:
        that is everything that went with a page, and everything that still waits."""
        self.browser.open(f"{self.shop.url}/static/storefront.css")  # its storage without the tag
        kept = self.browser.js(
            "return Object.keys(localStorage).filter(name => name.endsWith('_kept'))"
            ".flatMap(name => JSON.parse(localStorage.getItem(name))).map(one => one.e.id)"
        )
        until(lambda: set(kept) <= {row[0] for row in self.rows(EVENT_IDS)})

    def queue(self) -> set[str]:
        """What is to be read again, as words."""
        rows = self.rows("SELECT kind, value FROM onsite.change_queue WHERE integration = %s")
        return {
            f"order #{self.orders.index(int(value)) + 1}"
            if kind == "order"
            else f"{kind} {self.people[value]}"
            for kind, value in rows
        }

    def follow(self) -> TargetedResult | None:
        """As the job `follow_onsite` does it, without Dagster. None: nothing was to be done."""
        app = AppContext(self.services.settings, self.connected.warehouse, self.connected.registry)
        [(key, done)] = list(TargetedBatch(app, "a run").run([self.connected.key]))
        assert key == self.connected.key
        return done.result()

    def agrees(self) -> None:
        """The raw tables hold what the shop has, though only what was touched has been read."""
        assert self.connected.differences(without=UNREAD) == {}


@contextlib.contextmanager
def journey(services: Services, **storefront: Any) -> Iterator[Journey]:
    """A shop whose first synchronisation is done, with the tracking file on its pages."""
    # The right time: sessions and orders are about today.
    with SandboxShop("4.20", "small", clock=time.time) as shop:
        connected = Connected(
            shop, services.database.warehouse, services.settings, Clock(time.time())
        )
        shop.store.place_order(email="before@mail.internal", lines=[(1, 1)], status="P")
        connected.add()
        connected.sync()
        made = Journey(services, connected, "")
        with connected.warehouse.connect(autocommit=True) as connection:
            file = json.loads(
                tracking_file(
                    connection,
                    connected.registry.get(connected.key),
                    services.settings.collector_url,
                )
            )
        variables = file["containerVersion"]["variable"]
        made.write_key = next(
            each["parameter"][0]["value"] for each in variables if "write key" in each["name"]
        )
        shop.storefront.settings.change(**{"container": file, "consent": "granted", **storefront})
        until(lambda: services.asks(made.write_key, shop.url) == 204)
        shop.requests.clear()
        yield made


@pytest.fixture(scope="module")
def services(
    module_database: Database,
    module_browser: Browser,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("services")
    environment = {
        **module_database.settings_env,
        "CSCART_PIPELINES_HOME": str(folder / "home"),
        # Our browser has no person before it.
        "CSCART_PIPELINES_COLLECTOR_HEADLESS": "yes",
    }
    with collectors(environment, folder) as started:
        collector = started.start().ready()
        environment["CSCART_PIPELINES_COLLECTOR_URL"] = f"http://127.0.0.1:{collector.port}"
        yield Services(
            module_database, read_settings(environment), started, collector, module_browser
        )
