"""The sandbox shop's storefront: which request it answers, and how a dispatch becomes an answer.

CS-Cart's addresses, form fields and events in words and code of our own. Pages, actions and the
frame have modules of their own; the API is not touched.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import orjson

from cscart_pipelines.sandbox.http.php import truthy
from cscart_pipelines.sandbox.http.responses import HTML, SandboxResponse
from cscart_pipelines.sandbox.http.routing import Request
from cscart_pipelines.sandbox.shop.store import Store
from cscart_pipelines.sandbox.storefront.actions import FOLLOWED, POSTED
from cscart_pipelines.sandbox.storefront.frame import frame_blocks, take_notices, whole_page
from cscart_pipelines.sandbox.storefront.pages import PAGES, StorefrontPage, missing
from cscart_pipelines.sandbox.storefront.settings import StorefrontSettings
from cscart_pipelines.sandbox.storefront.visit import (
    COOKIE,
    Sessions,
    Visit,
    read_cookies,
    read_params,
)

_STATIC = Path(__file__).parent / "static"
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


class Storefront:
    """Answers the visitors of one shop; call under the store's lock. Change `settings` freely."""

    def __init__(
        self, store: Store, settings: StorefrontSettings | None = None, *, base: str = ""
    ) -> None:
        self.store = store
        self.settings = settings or StorefrontSettings()
        self.base = base.rstrip("/")
        self.sessions = Sessions()

    def owns(self, request: Request) -> bool:
        """Is this a page or a file of the storefront?"""
        if not request.path.startswith(f"{self.base}/"):
            return False
        rest = request.path[len(self.base) :]
        return rest in ("/", "/index.php") or rest.startswith("/static/")

    def answer(self, request: Request) -> SandboxResponse:
        """Answers a request of a browser."""
        rest = unquote(request.path[len(self.base) :])
        if rest.startswith("/static/"):
            return _file(rest.removeprefix("/static/"))
        cookies = read_cookies(request)
        params = read_params(request)
        xhr = request.headers.get("x-requested-with", "").lower() == "xmlhttprequest"
        visit = Visit(
            self.store,
            self.settings,
            self.sessions.find(cookies),
            self.base,
            request.method,
            params,
            cookies,
            ajax=xhr or truthy(params.get("is_ajax")),
        )
        answer = self._act(visit) or self._show(visit)
        if cookies.get(COOKIE) != visit.session.sid:
            path = f"{self.base}/"
            value = f"{COOKIE}={visit.session.sid}; Path={path}; HttpOnly; SameSite=Lax"
            answer.headers["Set-Cookie"] = value
        answer.headers.setdefault("Cache-Control", "no-cache, must-revalidate")
        return answer

    def _act(self, visit: Visit) -> SandboxResponse | None:
        """Does what the request asks to be done; None: it only wants to see a page."""
        name = (visit.dispatch[0], visit.dispatch[1])
        if name == ("auth", "logout"):
            visit.session = self.sessions.end(visit.session)
            return self._go(visit, "index.index")
        action = FOLLOWED.get(name) or (POSTED.get(name) if visit.method == "POST" else None)
        if action is None:
            return None
        signed_in = visit.session.user_id
        there = action(visit)
        if visit.session.user_id != signed_in:
            self.sessions.rename(visit.session)
        return self._go(visit, there)

    def _go(self, visit: Visit, dispatch: str | None) -> SandboxResponse:
        """To a page: by redirect, or for AJAX by the parts of it that the visitor has on screen."""
        if dispatch is None:
            where = _own(visit.text("redirect_url") or visit.text("return_url"))
        else:
            where = f"index.php?dispatch={dispatch}"
        if not visit.ajax:
            return SandboxResponse(302, b"", HTML, {"Location": f"{self.base}/{where}"})
        query = where.partition("?")[2]
        wanted = visit.text("result_ids")
        next_visit = Visit(
            visit.store,
            visit.settings,
            visit.session,
            visit.base,
            "GET",
            read_params(Request("GET", "/", query)),
            visit.cookies,
            ajax=True,
        )
        page = self._page(next_visit)
        if isinstance(page, str):
            return _json({"force_redirection": f"{self.base}/index.php?dispatch={page}"})
        return self._parts(next_visit, page, wanted, where)

    def _show(self, visit: Visit) -> SandboxResponse:
        page = self._page(visit)
        if isinstance(page, str):
            return self._go(visit, page)
        if visit.ajax:
            return self._parts(visit, page, visit.text("result_ids"), "")
        return SandboxResponse(page.status, whole_page(visit, page).encode(), HTML)

    def _page(self, visit: Visit) -> StorefrontPage | str:
        return PAGES.get((visit.dispatch[0], visit.dispatch[1]), missing)(visit)

    def _parts(
        self, visit: Visit, page: StorefrontPage, wanted: str, where: str
    ) -> SandboxResponse:
        """The asked parts by id, `cart_status*` for all that begin so, and the notices."""
        names = [name.strip() for name in wanted.split(",") if name.strip()]
        html = {
            key: inner
            for key, inner in (frame_blocks(visit) | page.blocks).items()
            if any(key == n or (n.endswith("*") and key.startswith(n[:-1])) for n in names)
        }
        return _json(
            {"html": html, "notifications": take_notices(visit), "current_url": f"/{where}"}
        )


def _own(where: str) -> str:
    """A page of this shop to go back to; anything else becomes the home page."""
    found = where if where.startswith("index.php") and "\\" not in where else "index.php"
    return found.replace("\r", "").replace("\n", "")


def _json(body: object) -> SandboxResponse:
    return SandboxResponse(200, orjson.dumps(body))


def _file(name: str) -> SandboxResponse:
    path = _STATIC / name
    if path.parent != _STATIC or path.suffix not in _TYPES or not path.is_file():
        return SandboxResponse(404, b"", HTML)
    return SandboxResponse(
        200, path.read_bytes(), _TYPES[path.suffix], {"Cache-Control": "no-cache"}
    )
