"""Registered customers as typed rows, by allow-list (reference 10.1). Guests are in orders only."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from cscart_pipelines.cscart.coerce import Raw, moment, reference, require_key, require_object, text


class CustomerRow(NamedTuple):
    """A registered customer. The e-mail is as the shop has it."""

    user_id: int
    email: str | None
    firstname: str | None
    lastname: str | None
    phone: str | None
    company: str | None
    company_id: int | None
    status: str | None
    registered_at: datetime | None
    last_login_at: datetime | None


def parse_customer(raw: Raw) -> CustomerRow:
    """Parses a row of `/users` (reference 10.1). Raises UnreadableRowError."""
    get = require_object(raw).get
    return CustomerRow(
        require_key(get("user_id"), "user_id"),
        text(get("email")),
        text(get("firstname")),
        text(get("lastname")),
        text(get("phone")),
        text(get("company")),
        reference(get("company_id")),
        text(get("status")),
        moment(get("timestamp")),
        moment(get("last_login")),
    )
