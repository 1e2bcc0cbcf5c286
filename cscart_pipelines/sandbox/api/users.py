"""The `users` entity (reference 10): customers and administrators, never guests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from cscart_pipelines.sandbox.api.base import Context, Entity, required, rights
from cscart_pipelines.sandbox.api.paging import Listing, sorting
from cscart_pipelines.sandbox.api.render_entities import user_row
from cscart_pipelines.sandbox.http.php import as_list, intval, truthy
from cscart_pipelines.sandbox.http.responses import ApiError, SandboxResponse, ok
from cscart_pipelines.sandbox.shop.model import Customer

SORTS: dict[str, Callable[[Customer], Any]] = {
    "id": lambda u: u.user_id,
    "username": lambda u: u.email,
    "email": lambda u: u.email,
    "name": lambda u: (u.lastname, u.firstname),
    "date": lambda u: u.timestamp,
    "type": lambda u: u.user_type,
    "status": lambda u: u.status,
    "company": lambda u: u.company,
    "phone": lambda u: u.phone,
}
LAST_LOGIN: dict[str, Callable[[Customer], Any]] = {"last_login": lambda u: u.last_login}
EDITABLE = ("email", "firstname", "lastname", "phone", "company", "status", "user_type")


class Users(Entity):
    """`users`."""

    privileges: ClassVar = rights("view_users", "manage_users")

    def index(self, context: Context) -> SandboxResponse:
        """Answers GET of the list."""
        if context.profile.user_type_required and not truthy(context.params.get("user_type")):
            raise ApiError(400, "The user_type field is required")
        return self._list(context, list(context.store.customers.values()))

    def view(self, context: Context, key: int) -> SandboxResponse:
        """Answers GET of one row."""
        user = context.store.customers.get(key)
        if user is not None and context.company_id in (None, user.company_id):
            return ok(user_row(user, context.profile))
        if context.profile.missing_user_is_list:
            context.params["user_id"] = str(key)
            return self._list(context, [])
        raise ApiError(404)

    def create(self, context: Context, body: dict[str, Any]) -> SandboxResponse:
        """Answers POST."""
        email = str(required(body, "email"))
        required(body, "user_type")
        company = context.company_id or (
            intval(body.get("company_id", 0))
            if context.store.multivendor
            else intval(required(body, "company_id"))
        )
        if any(u.email.lower() == email.lower() for u in context.store.customers.values()):
            raise ApiError(400, errors=["The username or email you have chosen already exists"])
        fields: dict[str, Any] = {n: str(body[n]) for n in EDITABLE if n in body and n != "email"}
        if truthy(body.get("timestamp")):
            fields["timestamp"] = intval(body["timestamp"])
        made = context.store.add_customer(email, company_id=company, **fields)
        return ok({"user_id": made.user_id, "profile_id": str(made.user_id)}, 201)

    def update(self, context: Context, key: int, body: dict[str, Any]) -> SandboxResponse:
        """Answers PUT."""
        if key not in context.store.customers:
            raise ApiError(400)
        context.store.edit_customer(key, **{n: str(body[n]) for n in EDITABLE if n in body})
        return ok({"user_id": str(key), "profile_id": False})

    def delete(self, context: Context, key: int) -> SandboxResponse:
        """Answers DELETE."""
        if key not in context.store.customers:
            raise ApiError(404)
        if context.store.customers[key].is_root == "Y":
            raise ApiError(400)
        context.store.delete_customer(key)
        return SandboxResponse(204)

    def _list(self, context: Context, users: list[Customer]) -> SandboxResponse:
        profile = context.profile
        keys = SORTS | (LAST_LOGIN if profile.last_login else {})
        sort = sorting(context.params, tuple(keys), "name")
        found = [u for u in users if _matches(u, context)]
        found.sort(key=lambda u: u.user_id)
        found.sort(key=keys[sort["sort_by"]], reverse=sort["sort_order"] == "desc")
        listing = Listing("users", found, dict(sort), repeat_last=True)
        return context.page(listing, lambda page: [user_row(u, profile) for u in page])


def _matches(user: Customer, context: Context) -> bool:
    params = context.params

    def among(name: str, value: object) -> bool:
        if not truthy(params.get(name)):
            return True
        return str(value) in as_list(params[name], split=True)

    def part(name: str, value: str) -> bool:
        if not truthy(params.get(name)):
            return True
        return str(params[name]).lower() in value.lower()

    excluded = as_list(params.get("exclude_user_types", []))
    without = as_list(params.get("exclude_user_ids", ""), split=True)
    return (
        context.company_id in (None, user.company_id)
        and among("user_type", user.user_type)
        and among("user_types", user.user_type)
        and among("user_ids", user.user_id)
        and among("status", user.status)
        and among("is_root", user.is_root)
        and among("company_id", user.company_id)
        and user.user_type not in excluded
        and str(user.user_id) not in without
        and part("email", user.email)
        and part("name", f"{user.firstname} {user.lastname}")
        and part("company", user.company)
        and part("phone", user.phone)
        and among("country", user.address.country)
    )
