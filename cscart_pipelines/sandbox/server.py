"""`SandboxShop`: a shop that is served by this process, and `serve` for the CLI.

Puts store, router, faults and HTTP server together and keeps the records of requests and mails.
No entity rules here.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any
from zoneinfo import ZoneInfo

from cscart_pipelines.sandbox.api.base import ApiUser, ShopState
from cscart_pipelines.sandbox.api.render_orders import OrderRenderer
from cscart_pipelines.sandbox.data.seeds import Seed, fill
from cscart_pipelines.sandbox.http.control import Control
from cscart_pipelines.sandbox.http.faults import Fault, Faults, spoil
from cscart_pipelines.sandbox.http.http_server import Delivery, WireServer
from cscart_pipelines.sandbox.http.request_log import RequestLog, RequestRecord
from cscart_pipelines.sandbox.http.responses import SandboxResponse, crash_page
from cscart_pipelines.sandbox.http.routing import Request, Rewrite, Router
from cscart_pipelines.sandbox.shop.model import Mail
from cscart_pipelines.sandbox.shop.profiles import Profile
from cscart_pipelines.sandbox.shop.store import Store
from cscart_pipelines.sandbox.storefront.app import Storefront
from cscart_pipelines.sandbox.storefront.settings import StorefrontSettings

EMAIL = "admin@example.com"
API_KEY = "sandbox0sandbox0sandbox0sandbox0"


class SandboxShop:
    """A CS-Cart shop of one version, serving while the `with` block runs.

    `profile` is a version ("4.7", "4.12", "4.13", "4.16", "4.20"); `catalogue` fills it ("empty",
    "small", "cdnow" or a function of the store). `path` is the shop's sub-directory, `page_size`
    the "elements per page" setting, `privileges` those of the API user (None: root), `clock`
    epoch seconds, used for `Date`, `updated_at` and the rest. `storefront`: what its pages show.
    """

    def __init__(
        self,
        profile: str | Profile = "4.20",
        catalogue: Seed = "small",
        *,
        path: str = "",
        host: str = "127.0.0.1",
        port: int = 0,
        rewrite: Rewrite = "both",
        multivendor: bool = False,
        tls: ssl.SSLContext | None = None,
        api_https_only: bool = False,
        email: str = EMAIL,
        api_key: str = API_KEY,
        privileges: set[str] | None = None,
        page_size: int | None = None,
        clock: Callable[[], float] = time.time,
        timezone: str = "UTC",
        day_first: bool = False,
        notices: bool = False,
        seed: int = 0,
        store: Store | None = None,
        storefront: StorefrontSettings | None = None,
    ) -> None:
        if path and not path.startswith("/"):
            raise ValueError(f"path: expected '/shop' or '', got {path!r}")
        self.api_user = ApiUser(email, api_key, privileges=privileges)
        self.store = store or Store(profile, clock=clock, multivendor=multivendor)
        if store is None:
            fill(self.store, catalogue)
        self.faults = Faults(seed)
        self.requests = RequestLog()
        self.notices = notices
        self.path = path.rstrip("/")
        self.problems: list[Exception] = []
        self._hooks: list[Callable[[Request], object]] = []
        self._tls = tls
        self._address = (host, port)
        self._wire: WireServer | None = None
        self._renderer = OrderRenderer(self.store)
        self.state = ShopState(
            self.store,
            self._renderer,
            page_size=page_size or self.store.profile.page_size,
            zone=ZoneInfo(timezone),
            day_first=day_first,
            poison_orders=self.faults.poison_orders,
        )
        self.router = Router(
            self.state,
            self.api_user,
            base=self.path,
            rewrite=rewrite,
            api_https_only=api_https_only,
        )
        self.storefront = Storefront(self.store, storefront, base=self.path)
        self._control = Control(self)

    # --- what tests and callers read -------------------------------------------------------------

    @property
    def url(self) -> str:
        """Base address, without a trailing slash. Raises RuntimeError when not serving."""
        if self._wire is None:
            raise RuntimeError("the sandbox shop is not serving")
        scheme = "https" if self._tls is not None else "http"
        return f"{scheme}://{self._address[0]}:{self._wire.server_address[1]}{self.path}"

    @property
    def email(self) -> str:
        """The administrator's e-mail address."""
        return self.api_user.email

    @property
    def api_key(self) -> str:
        """The administrator's API key."""
        return self.api_user.api_key

    @property
    def profile(self) -> Profile:
        """The CS-Cart version that is imitated."""
        return self.store.profile

    @property
    def mails(self) -> list[Mail]:
        """E-mails that the shop would have sent."""
        return self.store.mails

    def before_request(self, hook: Callable[[Request], object]) -> Callable[[Request], object]:
        """Calls `hook` before each API request is answered, outside the lock; usable as decorator.

        What the hook changes in the store is seen by that request: edits between two pages happen
        exactly where a test wants them. An exception of the hook is raised again by the `with`.
        """
        self._hooks.append(hook)
        return hook

    # --- life ------------------------------------------------------------------------------------

    def start(self) -> SandboxShop:
        """Starts serving in a thread."""
        self._wire = WireServer(
            self._address, self.respond, tls=self._tls, clock=lambda: self.store.clock()
        )
        threading.Thread(
            target=self._wire.serve_forever, args=(0.05,), name="sandbox", daemon=True
        ).start()
        return self

    def stop(self) -> None:
        """Stops serving and closes all connections."""
        if self._wire is not None:
            self._wire.shutdown()
            self._wire.server_close()
            self._wire.close_connections()
            self._wire = None

    def __enter__(self) -> SandboxShop:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if kind is None and self.problems:
            raise self.problems[0]

    # --- one request -----------------------------------------------------------------------------

    def respond(self, request: Request) -> Delivery:
        """Answers one request, with hooks, faults and the record."""
        started = self.store.clock()
        if self._control.owns(request):
            return Delivery(self._control.answer(request))
        if self.storefront.owns(request):
            # Visitors are not API requests: no hooks, no faults, no record.
            return Delivery(self._guarded(self.storefront.answer, request))
        for hook in list(self._hooks):
            try:
                hook(request)
            except Exception as problem:
                self.problems.append(problem)
        fault = self.faults.pick(request)
        if fault is not None and fault.kind == "latency":
            time.sleep(fault.seconds)
        answer = None if fault is not None and fault.replaces else self._shop(request)
        delivery = self._delivery(fault, answer)
        status = 0 if delivery.reset else delivery.answer.status
        size = len(delivery.answer.body)
        self.requests.append(
            RequestRecord(request.method, request.path, request.query, status, started, size)
        )
        return delivery

    def _guarded(
        self, answer: Callable[[Request], SandboxResponse], request: Request
    ) -> SandboxResponse:
        try:
            with self.store.lock:
                return answer(request)
        except Exception as problem:
            # A mistake of the sandbox looks like the shop's crash page; it would be lost in a
            # connection thread, so leaving the `with` block raises it again.
            self.problems.append(problem)
            return crash_page(self.store.profile)

    def _shop(self, request: Request) -> SandboxResponse:
        answer = self._guarded(self.router.answer, request)
        if self.notices and answer.body and answer.content_type == "application/json":
            return spoil(Fault("php_notices"), answer, self.store.profile)
        return answer

    def _delivery(self, fault: Fault | None, answer: SandboxResponse | None) -> Delivery:
        if fault is None or fault.kind == "latency":
            return Delivery(answer or SandboxResponse(500))
        if fault.kind == "reset":
            return Delivery(answer or SandboxResponse(500), reset=True)
        spoiled = spoil(fault, answer, self.store.profile)
        pause = fault.seconds if fault.kind == "slow_drip" else 0.0
        return Delivery(spoiled, pause=pause)


def serve(
    profile: str = "4.20",
    port: int = 0,
    catalogue: Seed = "cdnow",
    on_ready: Callable[[SandboxShop], object] | None = None,
    *,
    stop: threading.Event | None = None,
    **options: Any,
) -> None:
    """Runs a shop in the foreground until `stop` is set or Ctrl-C; for the command line.

    `on_ready` gets the serving shop (its `url`, `email`, `api_key`). Raises OSError if the port is
    taken, ValueError for an unknown profile or catalogue.
    """
    wait = stop or threading.Event()
    with SandboxShop(profile, catalogue, port=port, **options) as shop:
        if on_ready is not None:
            on_ready(shop)
        try:
            # A time-out keeps the wait open to Ctrl-C on every platform.
            while not wait.wait(0.5):
                pass
        except KeyboardInterrupt:
            return
