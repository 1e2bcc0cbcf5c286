"""The tables of schema `registry`: integrations, their synchronisations, the audit trail.

Names, columns and keys only; triggers hold rules of them (`migrations/sql/integration_rules.sql`).
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
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from cscart_pipelines.warehouse.tables.base import (
    REGISTRY,
    integration_column,
    metadata,
    moment_column,
)

integrations = Table(
    "integrations",
    metadata,
    Column("integration", Text, primary_key=True),
    Column("list_name", Text, nullable=False),
    Column("url", Text, nullable=False, comment="normalised base address, no trailing slash"),
    Column("email", Text, nullable=False),
    Column("api_key_sealed", LargeBinary, comment="encrypted; NULL when it is a reference"),
    Column(
        "api_key_hash",
        LargeBinary,
        comment="keyed, tells whether the key has changed; NULL when it is a reference",
    ),
    Column("api_key_reference", Text, comment="env:NAME or file:/path"),
    Column("timezone", Text, nullable=False, server_default="UTC"),
    Column("currency", Text, nullable=False, server_default="EUR"),
    Column(
        "default_country",
        Text,
        comment="ISO 3166-1 alpha-2, of phones without one; NULL: of the time zone",
    ),
    Column("settled_statuses", ARRAY(Text), comment="NULL: as the shop's payment_received says"),
    Column("refund_statuses", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("include_guests", Boolean, nullable=False, server_default=text("true")),
    Column("user_id", Text, comment="the client id stamped on fulfilment orders"),
    Column("order_prefix", Text, nullable=False, server_default=""),
    Column("start_date", Date, comment="fulfilment ignores earlier orders"),
    Column("countries", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("order_statuses", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("update_tracking_number", Boolean, nullable=False, server_default=text("false")),
    Column("update_tracking_url", Boolean, nullable=False, server_default=text("false")),
    Column("update_stock", Boolean, nullable=False, server_default=text("false")),
    Column("stock_schedule", Text),
    Column("shipped_status", Text),
    Column("partially_shipped_status", Text),
    Column("notify_customer", Boolean, nullable=False, server_default=text("false")),
    Column("status", Text, nullable=False, server_default="ready"),
    Column("status_reason", Text),
    moment_column("status_since", nullable=False, server_default=func.now()),
    Column(
        "attempts",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="failed synchronisations since the last success",
    ),
    Column("failure_permanent", Boolean, nullable=False, server_default=text("false")),
    Column("capabilities", JSONB),
    Column("tested_fingerprint", Text, comment="of the connection details that passed the test"),
    moment_column("tested_at"),
    moment_column("first_synced_at"),
    moment_column("last_synced_at"),
    moment_column("created_at", nullable=False, server_default=func.now()),
    moment_column("updated_at", nullable=False, server_default=func.now()),
    Column(
        "storefronts",
        ARRAY(BigInteger),
        nullable=False,
        server_default=text("'{}'"),
        comment="ids; empty: all",
    ),
    Column(
        "companies",
        ARRAY(BigInteger),
        nullable=False,
        server_default=text("'{}'"),
        comment="ids; empty: all",
    ),
    UniqueConstraint("list_name"),
    schema=REGISTRY,
)

sync_state = Table(
    "sync_state",
    metadata,
    integration_column(),
    Column("entity", Text, nullable=False),
    moment_column("watermark", comment="the shop's clock: all changes before it are loaded"),
    Column("page_cursor", JSONB, comment="where an interrupted list continues"),
    Column("totals", JSONB, comment="counts of the shop when the list was last read to its end"),
    moment_column("swept_at", comment="last full sweep that looked for deletions"),
    moment_column("updated_at", nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("integration", "entity"),
    schema=REGISTRY,
)

sweep_seen = Table(
    "sweep_seen",
    metadata,
    integration_column(),
    Column("entity", Text, nullable=False),
    Column("part", BigInteger, nullable=False),
    Column("ids", ARRAY(BigInteger), nullable=False),
    PrimaryKeyConstraint("integration", "entity", "part"),
    schema=REGISTRY,
)
"""The ids that an unfinished sweep has read, many to a row: rows missing at its end are deleted."""

sync_runs = Table(
    "sync_runs",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    integration_column(),
    Column("run_id", Text, comment="the Dagster run, where there is one"),
    Column("kind", Text, nullable=False, comment="first, resync or full"),
    Column("state", Text, nullable=False, comment="running, succeeded, failed"),
    Column("phase", Text),
    Column("rows_done", BigInteger, nullable=False, server_default=text("0")),
    Column("rows_total", BigInteger),
    moment_column("phase_started_at", comment="with phase_started_rows, for the speed"),
    Column("phase_started_rows", BigInteger, comment="rows_done then: a list may be continued"),
    Column("host", Text),
    Column("pid", Integer),
    moment_column("started_at", nullable=False, server_default=func.now()),
    moment_column("heartbeat_at", nullable=False, server_default=func.now()),
    moment_column("finished_at"),
    Column("error", Text),
    Column("error_kind", Text, comment="class of the failure, for exit codes and alerts"),
    Column("stats", JSONB),
    Index(
        "sync_runs_one_running_idx",
        "integration",
        unique=True,
        postgresql_where=text("state = 'running'"),
    ),
    schema=REGISTRY,
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("integration", Text, nullable=False),
    moment_column("at", nullable=False, server_default=func.clock_timestamp()),
    Column("actor", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'")),
    Index("audit_integration_at_idx", "integration", "at"),
    schema=REGISTRY,
)
"""Every change of an integration, written by a trigger, without secrets. The actor is the
application name of the connection: who at which machine, or which run."""

suppressed_people = Table(
    "suppressed_people",
    metadata,
    Column("integration", Text, nullable=False),
    Column("identity_hash", LargeBinary, nullable=False),
    moment_column("forgotten_at", nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("integration", "identity_hash"),
    schema=REGISTRY,
)
"""The suppression list: rows that the shop still has of erased people are not loaded again."""

sync_requests = Table(
    "sync_requests",
    metadata,
    Column("integration", Text, primary_key=True),
    Column("whole", Boolean, nullable=False, server_default=text("false")),
    moment_column("requested_at", nullable=False, server_default=func.now()),
    schema=REGISTRY,
)
"""Synchronisations requested with --background, for the daemon."""

list_builds = Table(
    "list_builds",
    metadata,
    Column("integration", Text, primary_key=True),
    Column("run_id", Text, comment="the Dagster run of the last finished build"),
    Column(
        "covers_sync",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="every sync run of the integration up to this is in it",
    ),
    Column("settings", Text, comment="hash of the settings that the models read"),
    moment_column("as_of", comment="what its models took for now"),
    moment_column("finished_at"),
    Column(
        "attempts",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="builds begun since the last one that finished",
    ),
    moment_column("attempted_at"),
    Column(
        "attempted_sync",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="what the last attempt contained",
    ),
    schema=REGISTRY,
)
"""The last build of lists and segments of each integration."""
