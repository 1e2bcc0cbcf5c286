"""What every API entity has: a name, privileges, and the five actions.

`Context` carries one request through: the shop's state, the caller's scope, the parsed parameters.
The entities have modules of their own; the routing is in `http/routing.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from cscart_pipelines.sandbox.api.paging import Listing, page_of
from cscart_pipelines.sandbox.api.periods import bounds
from cscart_pipelines.sandbox.api.render_orders import OrderRenderer
from cscart_pipelines.sandbox.http.responses import ApiError, SandboxResponse
from cscart_pipelines.sandbox.shop.profiles import Profile
from cscart_pipelines.sandbox.shop.store import Store


@dataclass
class ApiUser:
    """The administrator of the client's key; `privileges` None: root, may do everything."""

    email: str
    api_key: str
    status: str = "A"
    privileges: set[str] | None = None
    company_id: int = 0

    def may(self, privilege: str) -> bool:
        """Whether the account has a privilege."""
        return self.privileges is None or privilege in self.privileges


@dataclass
class ShopState:
    """Everything an entity may look at."""

    store: Store
    renderer: OrderRenderer
    page_size: int
    zone: ZoneInfo
    day_first: bool = False
    page_limit: int | None = None  # rows per page at most, as re-implemented APIs have it (23)
    tells_page_limit: bool = True
    poison_orders: set[int] = field(default_factory=set)
    cache: dict[Any, tuple[int, list[int]]] = field(default_factory=dict)


@dataclass
class Context:
    """What a request is answered with: the shop and the account that asks."""

    state: ShopState
    params: dict[str, Any]
    api: str
    company_id: int | None = None  # of a /stores/N/ or /vendors/N/ prefix

    @property
    def store(self) -> Store:
        """The shop's data."""
        return self.state.store

    @property
    def profile(self) -> Profile:
        """The CS-Cart version that is imitated."""
        return self.state.store.profile

    def period(self, prefix: str = "") -> tuple[int, int] | None:
        """Bounds of `period` (prefix "") or of e.g. `shipment_period` (prefix "shipment_")."""
        return bounds(
            self.params,
            now=self.store.now(),
            zone=self.state.zone,
            day_first=self.state.day_first,
            prefix=prefix,
        )

    def page(
        self, listing: Listing, render: Callable[[Sequence[Any]], list[Any]]
    ) -> SandboxResponse:
        """One page of a list with its `params` (reference 6)."""
        return page_of(
            listing,
            self.params,
            profile=self.profile,
            api=self.api,
            default_size=self.state.page_size,
            limit=self.state.page_limit,
            tells_limit=self.state.tells_page_limit,
            render=render,
        )


class Entity:
    """Base of the entities: an action that a subclass lacks has no privilege entry, so 403."""

    privileges: ClassVar[Mapping[str, str]] = {}
    in_1_0: ClassVar[bool] = True

    def index(self, context: Context) -> SandboxResponse:
        """Answers GET of the list."""
        raise ApiError(403)

    def view(self, context: Context, key: int) -> SandboxResponse:
        """Answers GET of one row."""
        raise ApiError(403)

    def create(self, context: Context, body: dict[str, Any]) -> SandboxResponse:
        """Answers POST."""
        raise ApiError(403)

    def update(self, context: Context, key: int, body: dict[str, Any]) -> SandboxResponse:
        """Answers PUT."""
        raise ApiError(403)

    def delete(self, context: Context, key: int) -> SandboxResponse:
        """Answers DELETE."""
        raise ApiError(403)


def rights(read: str, write: str) -> dict[str, str]:
    """The privilege that each method needs."""
    return {"index": read, "create": write, "update": write, "delete": write}


def required(body: Mapping[str, Any], name: str) -> Any:
    """A field of the body, or 400 with the shop's text."""
    if body.get(name) in (None, ""):
        raise ApiError(400, f"The {name} field is required")
    return body[name]
