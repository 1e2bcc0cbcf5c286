"""What tests of the tag share: a server that records what the tag sends, and also has pages.

Its answers are made by the collector's own hand, because a browser hides from the tag what they do
not allow it to see; and it reads every batch with the collector's own reading, so that nothing is
recorded that would be refused.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from starlette.responses import Response

from cscart_pipelines.integrations.settings import check
from cscart_pipelines.onsite.collector.responses import accepted, preflight, problem
from cscart_pipelines.onsite.collector.schema import read_batch
from cscart_pipelines.onsite.container import TagOptions, container
from cscart_pipelines.onsite.tag_source import tag_script
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines_tests.support.shop.sandboxes import small_shop

WRITE_KEY = "Recorder-key_0123456789_abcdefgh"
STEM = "cscart_pipelines_shop_"
"""What the names of everything that the tag stores begin with."""
BROKEN = "/broken"
"""A page that fails with 500, and does not have the tag."""

Event = dict[str, Any]


@dataclass
class Recorder:
    """A collector that remembers. `status` answers the next batches; None: hangs up."""

    server: ThreadingHTTPServer
    status: int | None = 204
    retry_after: int | None = None
    batches: list[dict[str, Any]] = field(default_factory=list)
    """Batches that were answered with 204."""
    attempts: list[dict[str, Any]] = field(default_factory=list)
    """All batches, with `type` (the content type) and `size` beside them."""
    pages: dict[str, str] = field(default_factory=lambda: {BROKEN: "<h1>Something went wrong</h1>"})
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    @property
    def events(self) -> list[Event]:
        """Events that arrived, each with its `visitor` and `identity`, in the order they came.

        One that came again is one, as for the collector.
        """
        found: dict[str, Event] = {}
        for batch in self.batches:
            who = {"visitor": batch["visitor"], "identity": batch.get("identity")}
            for event in batch["events"]:
                found.setdefault(event["id"], {**event, **who})
        return list(found.values())

    def named(self, *names: str) -> list[Event]:
        return [event for event in self.events if event["name"] in names]

    @property
    def names(self) -> list[str]:
        return [event["name"] for event in self.events]

    def wait(self, what: Callable[[], Any], *, seconds: float = 20) -> Any:
        """Until something came that makes it true."""
        with self.changed:
            if self.changed.wait_for(what, timeout=seconds):
                return what()
        raise AssertionError(f"never came; what came: {self.names}")

    def forget(self) -> None:
        with self.changed:
            self.status, self.retry_after = 204, None
            self.batches.clear()
            self.attempts.clear()

    def take(self, body: bytes, content_type: str) -> int | None:
        batch = json.loads(body)
        with self.changed:
            self.attempts.append({**batch, "type": content_type, "size": len(body)})
            if self.status == 204:
                assert read_batch(body).rejected == ()
                self.batches.append(batch)
            self.changed.notify_all()
            return self.status


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    recorder: Recorder

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status: int | None = 404
        if self.path == f"/v1/events/{WRITE_KEY}":
            status = self.recorder.take(body, self.headers.get("Content-Type", ""))
        origin = self.headers.get("Origin")
        if status is None:
            self.close_connection = True
        elif status == 204:
            self.answer(accepted(origin))
        else:
            wait = self.recorder.retry_after
            self.answer(problem(status, "a refusal", origin=origin, retry_after=wait))

    def do_OPTIONS(self) -> None:
        with self.recorder.changed:
            self.recorder.attempts.append({"preflight": self.path})
        self.answer(preflight(self.headers.get("Origin", "")))

    def answer(self, made: Response) -> None:
        """With the collector's own headers: what a browser shows the tag depends on them."""
        self.send_response(made.status_code)
        for name, value in made.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(made.body)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        page = self.recorder.pages.get(path, "").encode()
        self.send_response(500 if path == BROKEN else 200 if page else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: Any) -> None:
        """Tests are quiet."""


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    made = Recorder(server)
    server.RequestHandlerClass = type("Handler", (_Handler,), {"recorder": made})
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def shop(recorder: Recorder) -> Iterator[SandboxShop]:
    """A shop whose pages run the onsite tracking file, with everybody's consent."""
    with small_shop(orders=0) as made:
        made.storefront.settings.change(container=export(recorder.url), consent="granted")
        yield made


def export(collector_url: str, *, raw_email: bool = False) -> dict[str, Any]:
    settings = check(
        {"integration": "shop", "list_name": "shop", "url": "http://127.0.0.1",
         "email": "admin@shop.example"}
    )  # fmt: skip
    return container(
        settings, WRITE_KEY, collector_url, TagOptions(raw_email=raw_email),
        made_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def bare_page(recorder: Recorder, body: str, *, before: str = "", consent: str = "granted") -> str:
    """A page of no particular shop with the script itself on it, without Tag Manager."""
    script = tag_script(
        {"collector": recorder.url, "write_key": WRITE_KEY,
         "options": "integration=shop; raw_email=no"}
    )  # fmt: skip
    layer = "window.dataLayer = []; function gtag(){ dataLayer.push(arguments); }"
    if consent:
        layer += f"gtag('consent', 'default', {{analytics_storage: '{consent}'}});"
    return (
        "<!DOCTYPE html><html><head><link rel='icon' href='data:,'>"
        f"<script>{layer}{before}</script><script>{script}</script></head><body>{body}</body></html>"
    )
