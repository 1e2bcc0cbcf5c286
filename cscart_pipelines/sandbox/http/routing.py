"""From a request to an answer: both URL styles, and the checks in the order of reference 4.3.

Not here: what an entity answers (`api/`), sockets and faults, which wrap around this.
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote

import orjson

from cscart_pipelines.sandbox.api.base import ApiUser, Context, Entity, ShopState
from cscart_pipelines.sandbox.api.catalogue import Categories, Products
from cscart_pipelines.sandbox.api.orders import Orders
from cscart_pipelines.sandbox.api.settings import (
    Shippings,
    Statuses,
    Stores,
    Vendors,
    Version,
    Versions,
)
from cscart_pipelines.sandbox.api.shipments import Shipments
from cscart_pipelines.sandbox.api.users import Users
from cscart_pipelines.sandbox.http.php import intval, parse_query, truthy
from cscart_pipelines.sandbox.http.responses import (
    ApiError,
    CrashError,
    SandboxResponse,
    crash_page,
    error,
    html,
    ok,
    server_404,
)

Rewrite = Literal["rewrite", "api.php", "both"]
ACTIONS = {"GET": "index", "POST": "create", "PUT": "update", "DELETE": "delete"}
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
ACCEPTED = ("application/json", "text/javascript", "application/javascript", "text/plain", *FORMS)


@dataclass(slots=True)
class Request:
    """One HTTP request as the server read it; header names in lower case."""

    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    secure: bool = False


class Router:
    """Answers API requests for one shop; call under the store's lock."""

    def __init__(
        self,
        state: ShopState,
        user: ApiUser,
        *,
        base: str = "",
        rewrite: Rewrite = "both",
        api_https_only: bool = False,
    ) -> None:
        self.state = state
        self.user = user
        self.base = base.rstrip("/")
        self.rewrite = rewrite
        self.api_https_only = api_https_only
        multivendor = state.store.multivendor
        self.entities: dict[str, Entity] = {
            "orders": Orders(),
            "users": Users(),
            "products": Products(),
            "categories": Categories(),
            "shipments": Shipments(),
            "statuses": Statuses(),
            "shippings": Shippings(),
            "version": Version(),
            "versions": Versions(),
        }
        company: Entity = Vendors(vendors=True) if multivendor else Stores(vendors=False)
        self.entities["vendors" if multivendor else "stores"] = company

    def answer(self, request: Request) -> SandboxResponse:
        """Answers a request of the API."""
        profile = self.state.store.profile
        rest, params = self._locate(request)
        if rest is None:
            return server_404()
        try:
            return self._api(request, rest, params)
        except ApiError as failure:
            return error(failure, profile)
        except CrashError:
            ajax = request.headers.get("x-requested-with", "").lower() == "xmlhttprequest"
            if ajax or truthy(params.get("is_ajax")):
                return ok({"error": "Internal error"})  # reference 4.4
            return crash_page(profile)

    def authorised(self, request: Request) -> bool:
        """Whether the credentials are an administrator's."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic" or self.user.status != "A":
            return False
        try:
            name, _, key = base64.b64decode(given).decode().partition(":")
        except ValueError:
            return False
        right = name.strip().lower() == self.user.email.lower()
        return right and hmac.compare_digest(key.encode(), self.user.api_key.encode())

    def _locate(self, request: Request) -> tuple[str | None, dict[str, Any]]:
        """What follows `api/` and the parameters; None: not the API's address."""
        params = parse_query(request.query)
        if not request.path.startswith(f"{self.base}/"):
            return None, params
        path = unquote(request.path[len(self.base) :])
        if path == "/api.php" and self.rewrite != "rewrite":
            where = params.pop("_d", None)
            if where is None:
                where = params.pop("q", "")
            return str(where), params
        if path.startswith("/api/") and self.rewrite != "api.php":
            return path[len("/api/") :], params
        return None, params

    def _api(self, request: Request, rest: str, params: dict[str, Any]) -> SandboxResponse:
        profile = self.state.store.profile
        if "version" in params and not profile.hidden_version_text:
            return html(200, "", f"CS-Cart {profile.product_version}")
        if self.api_https_only and not request.secure:
            raise ApiError(403, "The API is only accessible over HTTPS")
        if not self.authorised(request):
            raise ApiError(401)
        if "version" in params:
            edition = "MULTIVENDOR" if self.state.store.multivendor else "ULTIMATE"
            text = f"CS-Cart {profile.product_version} {edition}"
            return SandboxResponse(200, text.encode(), "text/plain")
        method = request.method
        if method == "OPTIONS" and profile.options_method:
            return SandboxResponse(200)
        body: dict[str, Any] = {}
        if method in ("PUT", "POST"):
            body = self._body(request)
            override = str(params.get("_METHOD") or body.pop("_METHOD", ""))
            if profile.method_override and method == "POST" and override in ("PUT", "DELETE"):
                method = override
        plain_text = method == "GET" and self._accepts_text_first(request)
        answer = self._walk(method, rest, params, body)
        if plain_text:
            return SandboxResponse(answer.status, b"Array", "text/plain")
        return answer

    def _walk(
        self, method: str, rest: str, params: dict[str, Any], body: dict[str, Any]
    ) -> SandboxResponse:
        if "//" in rest or rest.startswith("/"):
            raise ApiError(404)
        parts = rest.rstrip("/").split("/")
        api: str = self.state.store.profile.current_api
        if re.fullmatch(r"\d+(\.\d+)?", parts[0]):
            api = _known_version(parts.pop(0), api)
        context = Context(self.state, params, api)
        while True:
            name = parts.pop(0) if parts else ""
            entity = self.entities.get(name)
            if entity is None or (api == "1.0" and not entity.in_1_0):
                raise ApiError(404, f"The Entity {name} not found")
            key_text = parts.pop(0) if parts else ""
            if key_text and not key_text.isdigit():
                raise ApiError(404)
            if not parts:
                break
            if entity.view(context, intval(key_text)).status != 200:
                raise ApiError(404)
            if name in ("stores", "vendors"):
                context.company_id = intval(key_text)
                if self.user.company_id not in (0, context.company_id):
                    raise ApiError(403)
        return self._act(entity, method, key_text, context, body)

    def _act(
        self, entity: Entity, method: str, key_text: str, context: Context, body: dict[str, Any]
    ) -> SandboxResponse:
        action = ACTIONS.get(method)
        if action is None:
            raise ApiError(405)
        privilege = entity.privileges.get(action)
        if privilege is None or (privilege and not self.user.may(privilege)):
            raise ApiError(403)
        if self.user.company_id and context.company_id is None:
            context.company_id = self.user.company_id
        if action == "index":
            return entity.view(context, int(key_text)) if key_text else entity.index(context)
        if action in ("update", "delete") and not key_text:
            raise ApiError(405, "Object ID undefined")
        if action in ("update", "create") and not body:
            raise ApiError(405, "Missing parameters")
        if action == "create":
            if key_text:
                raise ApiError(405, "ID must not be defined")
            return entity.create(context, body)
        if action == "update":
            return entity.update(context, int(key_text), body)
        return entity.delete(context, int(key_text))

    def _body(self, request: Request) -> dict[str, Any]:
        kind = request.headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
        if kind == "application/json":
            if not request.body.strip():
                return {}
            try:
                parsed = orjson.loads(request.body)
            except orjson.JSONDecodeError:
                raise ApiError(400, "Syntax error") from None
            return parsed if isinstance(parsed, dict) else {}
        forms = FORMS if self.state.store.profile.form_bodies else ()
        if kind == "text/plain" or kind in forms:
            # JSON without its header is misread as one odd pair, as in the shop.
            return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        raise ApiError(415)

    def _accepts_text_first(self, request: Request) -> bool:
        """True: the useless text form comes first. Raises 406 if nothing is acceptable."""
        wanted = [
            part.partition(";")[0].strip().lower()
            for part in request.headers.get("accept", "*/*").split(",")
        ]
        for kind in wanted:
            if kind in ("*/*", "application/*", ""):
                return False
            if kind in ACCEPTED:
                return kind == "text/plain"
        raise ApiError(406)


def _known_version(asked: str, current: str) -> str:
    """1.0, 2.0 and 2.1 as such; 4.0 falls back to the newest; any other is a 404."""
    if asked == "4.0":
        return current
    if asked in ("1.0", "2.0") or (asked == "2.1" and current == "2.1"):
        return asked
    raise ApiError(404)
