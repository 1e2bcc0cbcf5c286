"""Checked batches as rows of COPY text: what waits for its commit, in memory and in the spool.

Events and rejections have one shape: a group of batches is one COPY, and a batch in the spool is
the very bytes that will be copied. Control characters are gone (`sanitise`, the patterns of
`schema`), so only the backslash needs an escape. Times are whole milliseconds since 1970. Not here:
the statements that use the rows (`store`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from cscart_pipelines.onsite.clock_skew import occurred
from cscart_pipelines.onsite.collector.schema import Batch, Event, Rejection
from cscart_pipelines.onsite.write_keys import Site

COLUMNS = (
    "write_key", "integration", "rejected", "received", "event_id", "name", "occurred", "client",
    "visitor_id", "email_sha256", "email", "page", "referrer", "items", "order_id", "term",
    "source", "address", "device",
)  # fmt: skip
"""Columns of the staging table, in the order of the text; a rejected row's example is its term."""

FORMAT = 1
"""Of the text; rows that an older version left in the spool are known by it."""

IDENTITY, PURCHASE, REJECTED = 1, 2, 4
"""Marks: what is in a payload, so that statements without work are not sent."""

_NULL = "\\N"


@dataclass(frozen=True, slots=True)
class Payload:
    """The rows of one batch."""

    text: bytes
    events: int
    marks: int


@dataclass(frozen=True, slots=True)
class Sender:
    """What is known of a batch from its request. `received`: milliseconds since 1970."""

    write_key: str
    site: Site
    received: int
    address: str
    device: str


def payload(batch: Batch, sender: Sender) -> tuple[Payload, list[Rejection]]:
    """A batch as rows, with its rejections: those of the schema and those of wrong clocks."""
    rejected = list(batch.rejected)
    marks = IDENTITY if batch.email_sha256 else 0
    lines: list[str] = []
    for event in batch.events:
        moment = occurred(event.at, batch.sent_at, sender.received)
        if isinstance(moment, str):
            rejected.append(Rejection(moment, event.name))
            continue
        if event.name == "purchase":
            marks |= PURCHASE
        lines.append(_event_line(event, moment, batch, sender))
    if rejected:
        marks |= REJECTED
    text = "".join(lines) + _rejected_lines(rejected, sender)
    return Payload(text.encode(), len(lines), marks), rejected


def rejection(reason: str, sender: Sender) -> Payload:
    """The row of a request that held no batch, to be counted."""
    return Payload(_rejected_lines([Rejection(reason)], sender).encode(), 0, REJECTED)


def _event_line(event: Event, moment: int, batch: Batch, sender: Sender) -> str:
    items = event.item_rows()
    return _line(
        sender.write_key,
        sender.site.integration,
        None,
        str(sender.received),
        event.id,
        event.name,
        str(moment),
        str(event.at),
        batch.visitor,
        batch.email_sha256,
        batch.email if sender.site.raw_email else None,
        event.page,
        event.referrer,
        orjson.dumps(items).decode() if items else None,
        event.order_id,
        event.term,
        event.source,
        sender.address,
        sender.device,
    )


def _rejected_lines(rejected: Iterable[Rejection], sender: Sender) -> str:
    blank = (None,) * 11
    return "".join(
        _line(sender.write_key, sender.site.integration, one.reason, str(sender.received), *blank,
              one.example, None, None, None)
        for one in rejected
    )  # fmt: skip


def _line(*values: str | None) -> str:
    return (
        "\t".join(
            [
                _NULL if value is None else value.replace("\\", "\\\\") if "\\" in value else value
                for value in values
            ]
        )
        + "\n"
    )
