"""The tables of schema `onsite`: events of browsers, write keys, consents, the change queue.

Names, columns and keys only. `events` is partitioned by the day that the browser stamped, because
the day must be the same however often a batch arrives: only then can the event's id be unique.
`onsite.retention` makes and drops partitions; events of other days (a browser with a wrong clock)
are in `events_other`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from cscart_pipelines.warehouse.tables.base import integration_column, metadata, moment_column

ONSITE = "onsite"

sites = Table(
    "sites",
    metadata,
    Column("integration", Text, primary_key=True),
    Column(
        "origins",
        ARRAY(Text),
        nullable=False,
        server_default=text("'{}'"),
        comment="beside the shop's own address",
    ),
    Column("raw_email", Boolean, nullable=False, server_default=text("false")),
    Column("retention_days", Integer, nullable=False, server_default=text("90")),
    Column("batches_per_second", Integer, nullable=False, server_default=text("200")),
    schema=ONSITE,
)
"""Settings of onsite tracking; an integration without a row has the defaults."""

keys = Table(
    "keys",
    metadata,
    Column("write_key", Text, primary_key=True, comment="public: it is in every page of the shop"),
    integration_column(),
    moment_column("created_at", nullable=False, server_default=func.now()),
    moment_column("retired_at", comment="not taken from then on"),
    Index("keys_integration_idx", "integration"),
    schema=ONSITE,
)

events = Table(
    "events",
    metadata,
    integration_column(),
    Column("event_id", Text, nullable=False),
    Column("day", Date, nullable=False, comment="of client_at, in UTC"),
    Column("name", Text, nullable=False),
    moment_column("occurred_at", nullable=False, comment="client_at, less the clock's error"),
    moment_column("client_at", nullable=False),
    moment_column("received_at", nullable=False, server_default=func.now()),
    Column("visitor_id", Text, nullable=False),
    Column("email_sha256", Text, comment="of the lower-cased, trimmed address"),
    Column("email", Text, comment="only where the integration allows it"),
    Column("page", Text),
    Column("referrer", Text, comment="host"),
    Column("items", JSONB),
    Column("order_id", Text),
    Column("term", Text),
    Column("source", Text),
    Column("address", Text, comment="truncated: /24 or /48"),
    Column("device", Text, comment="desktop, phone, tablet"),
    PrimaryKeyConstraint("integration", "event_id", "day"),
    Index("events_received_idx", "integration", "received_at"),
    schema=ONSITE,
    postgresql_partition_by="RANGE (day)",
)

purchases = Table(
    "purchases",
    metadata,
    integration_column(),
    Column("order_id", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    moment_column("first_at", nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("integration", "order_id"),
    schema=ONSITE,
)
"""Orders with a purchase event: a completion page that is loaded again is no purchase."""

visitors = Table(
    "visitors",
    metadata,
    integration_column(),
    Column("visitor_id", Text, nullable=False),
    Column("email_sha256", Text, nullable=False),
    moment_column("first_at", nullable=False),
    moment_column("last_at", nullable=False),
    PrimaryKeyConstraint("integration", "visitor_id", "email_sha256"),
    Index("visitors_email_idx", "integration", "email_sha256"),
    schema=ONSITE,
)
"""The (hashed) address of visitors who were anonymous before."""

consents = Table(
    "consents",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    integration_column(),
    Column("event_id", Text, nullable=False),
    Column("email_sha256", Text, nullable=False),
    Column("granted", Boolean, nullable=False, comment="subscribe: true, unsubscribe: false"),
    moment_column("at", nullable=False),
    Index("consents_event_idx", "integration", "event_id", unique=True),
    Index("consents_person_idx", "integration", "email_sha256", "at"),
    schema=ONSITE,
)

change_queue = Table(
    "change_queue",
    metadata,
    integration_column(),
    Column("kind", Text, nullable=False, comment="order (its id) or person (email_sha256)"),
    Column("value", Text, nullable=False),
    Column("event", Text, nullable=False, comment="name of the event that touched it last"),
    moment_column("first_at", nullable=False, server_default=func.clock_timestamp()),
    moment_column("last_at", nullable=False, server_default=func.clock_timestamp()),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    moment_column("not_before", nullable=False, server_default=func.clock_timestamp()),
    PrimaryKeyConstraint("integration", "kind", "value"),
    schema=ONSITE,
)
"""Orders and people to read again from the shop; a row is deleted when that is done."""

rejects = Table(
    "rejects",
    metadata,
    integration_column(),
    Column("day", Date, nullable=False),
    Column("reason", Text, nullable=False),
    Column("times", BigInteger, nullable=False, server_default=text("0")),
    Column("example", Text, comment="a short piece of the last one, without addresses"),
    moment_column("last_at", nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("integration", "day", "reason"),
    schema=ONSITE,
)
"""Counts of refused events by reason, so that the table stays small."""
