"""The tables of schemas `cscart` and `registry`: names, columns and keys.

Alembic's migrations create them, `load` fills the raw ones, dbt reads those as sources. Not here:
queries, and the tables of `analytics`, which dbt owns.

Every table of shop data starts its key with `integration`, so that it can be partitioned by shop.
Rows of the raw tables (schema `cscart`) carry `content_hash` (of all other columns, so that a merge
writes only what changed), `loaded_at` (when this version was written) and `deleted_at` (when the
shop no longer had the row; NULL while it has).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)

RAW = "cscart"
REGISTRY = "registry"
SCHEMAS = (RAW, REGISTRY, "fulfilment", "onsite", "analytics")


def moment_column(name: str, **options: Any) -> Column[Any]:
    """Returns a column of a time with time zone."""
    return Column(name, DateTime(timezone=True), **options)


def integration_column() -> Column[str]:
    """Returns the column of the integration's key, the first of every table."""
    return Column("integration", Text, nullable=False)


def one_of(table: str, column: str, *values: str) -> CheckConstraint:
    """Returns the constraint by which a column takes only these words."""
    words = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({words})", name=f"{table}_{column}_check")


def _raw(name: str, key: tuple[str, ...], *columns: Column[Any]) -> Table:
    """Returns a table of shop rows: integration first, the columns of the loader last."""
    return Table(
        name,
        metadata,
        integration_column(),
        *columns,
        Column("content_hash", LargeBinary, nullable=False),
        moment_column("loaded_at", nullable=False, server_default=func.now()),
        moment_column("deleted_at"),
        PrimaryKeyConstraint("integration", *key),
        schema=RAW,
    )


# --- raw tables: what the shop has ---------------------------------------------------------------

customers = _raw(
    "customers",
    ("user_id",),
    Column("user_id", BigInteger, nullable=False),
    Column("email", Text, comment="as the shop has it; NULL when empty"),
    Column("firstname", Text),
    Column("lastname", Text),
    Column("phone", Text),
    Column("company", Text),
    Column("company_id", BigInteger),
    Column("status", Text, comment="A active, D disabled"),
    moment_column("registered_at"),
    moment_column("last_login_at"),
)

orders = _raw(
    "orders",
    ("order_id",),
    Column("order_id", BigInteger, nullable=False),
    Column("is_parent_order", Boolean, nullable=False),
    Column("parent_order_id", BigInteger, comment="NULL when the order was not split"),
    Column("company_id", BigInteger, comment="vendor (Multi-Vendor) or storefront owner"),
    Column("storefront_id", BigInteger),
    Column("user_id", BigInteger, comment="NULL for a guest or a deleted account"),
    Column("issuer_id", BigInteger, comment="administrator who entered the order"),
    Column("email", Text),
    Column("firstname", Text),
    Column("lastname", Text),
    Column("phone", Text),
    Column("company", Text),
    Column("status", Text, nullable=False),
    Column("total", Numeric, nullable=False, comment="primary currency of the shop"),
    moment_column("ordered_at", nullable=False),
    Column("has_details", Boolean, nullable=False, comment="false: only the list row was read"),
    # What only the detail object tells (reference 8.3); NULL without details.
    moment_column("updated_at"),
    Column("subtotal", Numeric),
    Column("discount", Numeric),
    Column("subtotal_discount", Numeric),
    Column("shipping_cost", Numeric),
    Column("payment_surcharge", Numeric),
    Column("tax_total", Numeric, comment="sum of taxes.*.tax_subtotal (reference 8.3)"),
    Column("promotion_ids", Text),
    Column("secondary_currency", Text, comment="what the shopper saw; amounts are not in it"),
    Column("lang_code", Text),
    Column("shipping_ids", Text),
    Column("shipping_method", Text),
    Column("s_firstname", Text),
    Column("s_lastname", Text),
    Column("s_address", Text),
    Column("s_address_2", Text),
    Column("s_city", Text),
    Column("s_state", Text),
    Column("s_zipcode", Text),
    Column("s_country", Text, comment="ISO 3166-1 alpha-2"),
    Column("s_country_name", Text),
    Column("s_phone", Text),
    Column("b_country", Text),
    Column("b_country_name", Text),
)

order_lines = Table(
    "order_lines",
    metadata,
    integration_column(),
    Column("order_id", BigInteger, nullable=False),
    Column("item_id", Text, nullable=False, comment="cart id: a 32-bit number as text"),
    Column("product_id", BigInteger),
    Column("product_code", Text),
    Column("product", Text, comment="at the time of the order; with the variation"),
    Column("quantity", Numeric, nullable=False),
    Column("price", Numeric, nullable=False, comment="unit price after line discount"),
    Column("base_price", Numeric),
    Column("discount", Numeric, comment="per unit"),
    Column("subtotal", Numeric),
    Column("company_id", BigInteger),
    Column("shipping_method", Text, comment="of the line's shipping group"),
    PrimaryKeyConstraint("integration", "order_id", "item_id"),
    schema=RAW,
)
"""Lines are replaced together with their order, whose hash includes them."""

products = _raw(
    "products",
    ("product_id",),
    Column("product_id", BigInteger, nullable=False),
    Column("product_code", Text),
    Column("product", Text),
    Column("product_type", Text),
    Column("parent_product_id", BigInteger),
    Column("status", Text),
    Column("company_id", BigInteger),
    Column("amount", Numeric),
    Column("price", Numeric),
    Column("list_price", Numeric),
    Column("tracking", Text),
    Column("main_category", BigInteger),
    moment_column("created_at"),
    moment_column("updated_at"),
)

categories = _raw(
    "categories",
    ("category_id",),
    Column("category_id", BigInteger, nullable=False),
    Column("parent_id", BigInteger),
    Column("category", Text),
)

statuses = _raw(
    "statuses",
    ("type", "status"),
    Column("type", Text, nullable=False, comment="O orders, S shipments"),
    Column("status", Text, nullable=False),
    Column("status_id", BigInteger),
    Column("description", Text),
    Column("inventory", Text, comment="D decreases stock, I gives it back"),
    Column("payment_received", Boolean, comment="NULL where the shop does not say"),
)

shipments = _raw(
    "shipments",
    ("shipment_id",),
    Column("shipment_id", BigInteger, nullable=False),
    Column("order_id", BigInteger),
    moment_column("shipped_at"),
    Column("status", Text),
    Column("tracking_number", Text),
    Column("carrier", Text),
    Column("tracking_url", Text),
    Column("shipping_id", BigInteger),
    Column("shipping_method", Text),
    Column("comments", Text),
    Column("products", JSONB, comment="item id -> quantity"),
)

email_addresses = Table(
    "email_addresses",
    metadata,
    integration_column(),
    Column("raw", Text, nullable=False),
    Column("address", Text, comment="the normalised e-mail that is meant; NULL where none is"),
    Column("kind", Text, comment="usable, reserved or faulty"),
    Column(
        "written_sha256",
        Text,
        nullable=False,
        comment="of the text as browsers normalise it before they hash it",
    ),
    Column("address_sha256", Text),
    PrimaryKeyConstraint("integration", "raw"),
    schema=RAW,
)
"""What `identity` makes of the e-mails of customers and orders, once per distinct text; with the
phones below in the views `customer_contacts` and `order_contacts` (`warehouse.contacts`)."""

phone_numbers = Table(
    "phone_numbers",
    metadata,
    integration_column(),
    Column("raw", Text, nullable=False),
    Column(
        "country",
        Text,
        nullable=False,
        comment="ISO 3166-1 alpha-2 of the customer; empty where it is not known",
    ),
    Column(
        "region",
        Text,
        nullable=False,
        comment="the country that the number was read by; empty for none",
    ),
    Column("mobile", Text, comment="E.164; NULL where it can be no mobile"),
    PrimaryKeyConstraint("integration", "raw", "country"),
    schema=RAW,
)

rejects = Table(
    "rejects",
    metadata,
    integration_column(),
    Column("entity", Text, nullable=False, comment="customers, orders, products, …"),
    Column("entity_key", Text, nullable=False, comment="the id, or position:N where none is known"),
    Column("reason", Text, nullable=False, comment="field and expectation; never the payload"),
    Column("attempts", Integer, nullable=False, server_default=text("1")),
    moment_column("first_seen_at", nullable=False, server_default=func.now()),
    moment_column("last_seen_at", nullable=False, server_default=func.now()),
    moment_column("resolved_at"),
    PrimaryKeyConstraint("integration", "entity", "entity_key"),
    schema=RAW,
)

# --- registry: integrations and their synchronisations -------------------------------------------

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
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("run_id", Text, comment="the Dagster run"),
    Column("covers_sync", BigInteger, nullable=False, comment="every sync run up to this is in it"),
    moment_column("as_of", nullable=False, comment="what the models take for now"),
    moment_column("finished_at", nullable=False, server_default=func.now()),
    schema=REGISTRY,
)
"""Finished builds of lists and segments, and the synchronisations that they contain."""
