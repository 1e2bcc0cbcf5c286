"""Order statuses as typed rows, by allow-list (reference 12)."""

from __future__ import annotations

from typing import NamedTuple

from cscart_pipelines.cscart.coerce import (
    Raw,
    mapping,
    reference,
    require_name,
    require_object,
    text,
)


class StatusRow(NamedTuple):
    """A status and its parameters; `payment_received` is None if the shop does not send it."""

    type: str
    status: str
    status_id: int | None
    description: str | None
    inventory: str | None
    payment_received: bool | None


def parse_status(raw: Raw) -> StatusRow:
    """Parses a row of `/statuses` (reference 12). Raises UnreadableRowError."""
    get = require_object(raw).get
    params = mapping(get("params"))
    paid = params.get("payment_received")
    return StatusRow(
        require_name(get("type"), "type"),
        require_name(get("status"), "status"),
        reference(get("status_id")),
        text(get("description")),
        text(params.get("inventory")),
        {"Y": True, "N": False}.get(paid) if isinstance(paid, str) else None,
    )
