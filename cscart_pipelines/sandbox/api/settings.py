"""Small read-only entities: statuses, shippings, stores and vendors, version (reference 12)."""

from __future__ import annotations

from typing import ClassVar

from cscart_pipelines.sandbox.api.base import Context, Entity, rights
from cscart_pipelines.sandbox.api.paging import Listing, sorting
from cscart_pipelines.sandbox.api.render_entities import (
    COMPANIES,
    company_row,
    shipping_row,
    status_row,
)
from cscart_pipelines.sandbox.http.responses import ApiError, SandboxResponse, ok


class Statuses(Entity):
    """`statuses`; reading needs the managing privilege too (reference 3.2)."""

    privileges: ClassVar = rights("manage_order_statuses", "manage_order_statuses")

    def index(self, context: Context) -> SandboxResponse:
        """Answers GET of the list."""
        kind = context.params.get("type", "O")
        found = [s for s in context.store.statuses if s.type == kind]
        listing = Listing(
            "statuses",
            found,
            total_as_text=False,
            total_of_page=context.profile.wrong_totals_past_end,
        )
        return context.page(listing, lambda page: [status_row(s, context.profile) for s in page])

    def view(self, context: Context, key: int) -> SandboxResponse:
        """Answers GET of one row."""
        for status in context.store.statuses:
            if status.status_id == key:
                return ok(status_row(status, context.profile))
        raise ApiError(404)


class Shippings(Entity):
    """`shippings`."""

    privileges: ClassVar = rights("view_shipping", "manage_shipping")

    def index(self, context: Context) -> SandboxResponse:
        """Answers GET of the list."""
        found = sorted(context.store.shippings.items())
        listing = Listing(
            "shippings",
            found,
            total_as_text=False,
            total_of_page=context.profile.wrong_totals_past_end,
        )
        return context.page(listing, lambda page: [shipping_row(*each) for each in page])

    def view(self, context: Context, key: int) -> SandboxResponse:
        """Answers GET of one row."""
        if key not in context.store.shippings:
            raise ApiError(404)
        return ok(shipping_row(key, context.store.shippings[key]))


class Companies(Entity):
    """`/stores` of CS-Cart, `/vendors` of Multi-Vendor: each edition has only its own."""

    def __init__(self, *, vendors: bool) -> None:
        self.vendors = vendors

    @property
    def name(self) -> str:
        """The entity's name in the URL."""
        return "vendors" if self.vendors else "stores"

    def keys(self, context: Context) -> list[int]:
        """The ids that there are."""
        return list(COMPANIES) if context.store.multivendor else [1]

    def index(self, context: Context) -> SandboxResponse:
        """Answers GET of the list."""
        sort = sorting(context.params, ("id", "email", "date", "company"), "company")
        listing = Listing(self.name, self.keys(context), dict(sort), repeat_last=True)
        return context.page(
            listing, lambda page: [company_row(key, vendor=self.vendors) for key in page]
        )

    def view(self, context: Context, key: int) -> SandboxResponse:
        """Answers GET of one row."""
        if key not in self.keys(context):
            raise ApiError(404)
        return ok(company_row(key, vendor=self.vendors))


class Stores(Companies):
    """`stores`."""

    privileges: ClassVar = rights("view_stores", "manage_stores")


class Vendors(Companies):
    """`vendors`."""

    privileges: ClassVar = rights("view_vendors", "manage_vendors")


class Version(Entity):
    """Needs valid credentials but no privilege: a good health check (reference 2.1)."""

    privileges: ClassVar = {"index": ""}

    def index(self, context: Context) -> SandboxResponse:
        """Answers GET of the list."""
        return ok({"Version": context.profile.current_api})


class Versions(Entity):
    """`version`."""

    privileges: ClassVar = {"index": ""}

    def index(self, context: Context) -> SandboxResponse:
        """Answers GET of the list."""
        if not context.profile.versions_entity:
            raise ApiError(404, "The Entity versions not found")
        return ok(["1.0", "2.0", "2.1", "4.0", "4.1"])
