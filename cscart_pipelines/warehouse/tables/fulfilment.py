"""The tables of schema `fulfilment`: orders for the fulfilment system, its inboxes, the journal.

Names, columns and keys only. Any program may insert into the inboxes, so their columns are loose (a
fractional quantity must be refused with a reason and not rounded by the database); `reason` says
what is wrong.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from cscart_pipelines.warehouse.tables.base import (
    integration_column,
    metadata,
    moment_column,
    one_of,
)

FULFILMENT = "fulfilment"


def _plausible(column: str) -> CheckConstraint:
    """Returns the constraint of times that Python can read and no later row is held back by.

    Two days ahead are allowed: files are refused at one, and no clock is that wrong.
    """
    return CheckConstraint(
        f"{column} BETWEEN '2000-01-01 00:00+00' AND now() + interval '2 days'",
        name=f"{column}_is_plausible",
    )


def _stock_rule_checks(cap: str = "cap BETWEEN 0 AND 9999999999") -> tuple[CheckConstraint, ...]:
    """Returns the constraints of stock rules; `cap` is the condition of the highest quantity."""
    return (
        CheckConstraint("buffer ~ '^[0-9]{1,7}([.][0-9]{1,3})?%?$'", name="buffer_is_readable"),
        CheckConstraint(
            "safety_quantity BETWEEN 0 AND 9999999", name="safety_quantity_is_plausible"
        ),
        CheckConstraint(cap, name="cap_is_plausible"),
    )


# --- out: orders for the fulfilment system -------------------------------------------------------

orders = Table(
    "orders",
    metadata,
    integration_column(),
    Column("order_number", Text, nullable=False, comment="prefix and order id"),
    Column("order_id", BigInteger, nullable=False),
    Column("client_user_id", Text, comment="the client's id at the fulfilment system"),
    Column("status", Text, nullable=False),
    moment_column("ordered_at", nullable=False),
    Column("total", Numeric, nullable=False),
    Column("currency", Text, nullable=False),
    Column("ship_to_name", Text),
    Column("company", Text),
    Column("address", Text),
    Column("city", Text),
    Column("state", Text),
    Column("zipcode", Text),
    Column("country", Text, comment="ISO 3166-1 alpha-2"),
    Column("phone", Text),
    Column("email", Text),
    Column("shipping_method", Text),
    moment_column("pulled_at", nullable=False, server_default=func.now()),
    Column("position", BigInteger, nullable=False, comment="the cursor of the export"),
    moment_column("changed_at", comment="last change in the shop after the order was pulled"),
    Column("changes", JSONB, comment="column -> [when pulled, now]; NULL while nothing changed"),
    Column("change_position", BigInteger, comment="the cursor of the export of changes"),
    Column("source_hash", LargeBinary, nullable=False, comment="content_hash of the raw order"),
    Column(
        "own_status_id",
        BigInteger,
        comment="journal entry of the last status written by this project that the feed knows of",
    ),
    PrimaryKeyConstraint("integration", "order_number"),
    UniqueConstraint("integration", "order_id", name="orders_order_id_key"),
    UniqueConstraint("integration", "position", name="orders_position_key"),
    schema=FULFILMENT,
)

order_lines = Table(
    "order_lines",
    metadata,
    integration_column(),
    Column("order_number", Text, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("product_id", BigInteger),
    Column("sku", Text, comment="the product code"),
    Column("product", Text),
    Column("quantity", Numeric, nullable=False),
    Column("price", Numeric, nullable=False),
    Column("shipping_method", Text, comment="of the line's shipping group"),
    PrimaryKeyConstraint("integration", "order_number", "item_id"),
    ForeignKeyConstraint(
        ["integration", "order_number"],
        ["fulfilment.orders.integration", "fulfilment.orders.order_number"],
        ondelete="CASCADE",
        name="order_lines_order_fkey",
    ),
    schema=FULFILMENT,
)

# --- in: what the fulfilment system sends --------------------------------------------------------

shipments = Table(
    "shipments",
    metadata,
    integration_column(),
    Column("order_number", Text, nullable=False),
    Column("tracking_number", Text, nullable=False),
    Column("sku", Text, nullable=False, server_default="", comment="'': all that is left"),
    Column("quantity", Numeric, comment="NULL: all that is left"),
    Column("carrier", Text),
    Column("tracking_url", Text),
    moment_column("shipped_at"),
    moment_column("received_at", nullable=False, server_default=func.now()),
    Column(
        "state",
        Text,
        nullable=False,
        server_default="waiting",
        comment="waiting, taken (the journal has it), done, refused",
    ),
    Column("reason", Text),
    Column("source", Text, comment="file:line it came from; NULL for SQL"),
    Column("journal_id", BigInteger),
    moment_column("settled_at"),
    PrimaryKeyConstraint("integration", "order_number", "tracking_number", "sku"),
    one_of("shipments", "state", "waiting", "taken", "done", "refused"),
    _plausible("received_at"),
    _plausible("shipped_at"),
    Index(
        "shipments_open_idx",
        "integration",
        "received_at",
        postgresql_where=text("state IN ('waiting', 'taken')"),
    ),
    schema=FULFILMENT,
)

stock_levels = Table(
    "stock_levels",
    metadata,
    integration_column(),
    Column("sku", Text, nullable=False),
    Column("quantity", Numeric),
    moment_column("as_of", nullable=False, server_default=func.now()),
    moment_column("received_at", nullable=False, server_default=func.now()),
    Column(
        "state",
        Text,
        nullable=False,
        server_default="waiting",
        comment="waiting, held (by the circuit breaker), done, refused",
    ),
    Column("reason", Text),
    Column("source", Text, comment="file:line it came from; NULL for SQL"),
    Column("feed_id", BigInteger),
    Column("journal_id", BigInteger),
    moment_column("settled_at"),
    PrimaryKeyConstraint("integration", "sku"),
    one_of("stock_levels", "state", "waiting", "held", "done", "refused"),
    _plausible("received_at"),
    _plausible("as_of"),
    Index(
        "stock_levels_open_idx",
        "integration",
        "received_at",
        postgresql_where=text("state IN ('waiting', 'held')"),
    ),
    schema=FULFILMENT,
)
"""A trigger sets a row back to waiting when its quantity or as_of is changed."""

feeds = Table(
    "feeds",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    integration_column(),
    Column("kind", Text, nullable=False, comment="shipments or stock"),
    Column("source", Text, nullable=False, comment="name of the file, or stdin"),
    moment_column("received_at", nullable=False, server_default=func.clock_timestamp()),
    Column("rows_taken", Integer, nullable=False),
    Column("rows_known", Integer, nullable=False, comment="were in the inbox already"),
    Column("rows_refused", Integer, nullable=False),
    Column("refusals", JSONB, nullable=False, server_default=text("'[]'"), comment="line, reason"),
    moment_column("newest_as_of", comment="of a stock feed"),
    Column("state", Text, nullable=False, comment="taken, held, released, refused"),
    Column("reason", Text),
    Index("feeds_integration_idx", "integration", "received_at"),
    schema=FULFILMENT,
)
"""Every file or standard input that was ingested or held."""

# --- what was done in the shop -------------------------------------------------------------------

journal = Table(
    "journal",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    integration_column(),
    Column("kind", Text, nullable=False, comment="shipment, order_status or stock"),
    Column("target", Text, nullable=False, comment="order and parcel, order, or SKU"),
    Column("state", Text, nullable=False),
    Column("order_id", BigInteger),
    Column("product_id", BigInteger),
    Column("tracking", Text, comment="the tracking number, normalised"),
    Column("plan", JSONB, nullable=False, server_default=text("'{}'"), comment="what is sent"),
    Column("before", JSONB, comment="what the shop had"),
    Column("after", JSONB, comment="what was read back"),
    Column("reason", Text),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("run_id", Text, comment="the run that worked on it last"),
    moment_column("created_at", nullable=False, server_default=func.clock_timestamp()),
    moment_column("sent_at", comment="before the last attempt was sent"),
    moment_column("finished_at"),
    one_of("journal", "kind", "shipment", "order_status", "stock"),
    one_of("journal", "state", "planned", "applying", "verified", "skipped", "failed", "ambiguous"),
    Index(
        "journal_one_open_idx",
        "integration",
        "kind",
        "target",
        unique=True,
        postgresql_where=text("state IN ('planned', 'applying', 'ambiguous')"),
    ),
    Index("journal_order_idx", "integration", "order_id"),
    Index("journal_run_idx", "integration", "run_id"),
    Index("journal_product_idx", "integration", "product_id"),
    schema=FULFILMENT,
)
"""Every write to a shop, planned before it is sent. No names, addresses or e-mails."""

# --- how it is done, per integration -------------------------------------------------------------

carriers = Table(
    "carriers",
    metadata,
    integration_column(),
    Column("name", Text, nullable=False, comment="as the fulfilment system writes it; * = others"),
    Column("code", Text, nullable=False, comment="the shop's code"),
    Column(
        "computes_url",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="the shop knows this carrier's tracking page",
    ),
    PrimaryKeyConstraint("integration", "name"),
    schema=FULFILMENT,
)

sku_map = Table(
    "sku_map",
    metadata,
    integration_column(),
    Column("sku", Text, nullable=False, comment="as the fulfilment system writes it"),
    Column("product_code", Text, nullable=False),
    PrimaryKeyConstraint("integration", "sku"),
    schema=FULFILMENT,
)

stock_rules = Table(
    "stock_rules",
    metadata,
    Column("integration", Text, primary_key=True),
    Column("buffer", Text, nullable=False, server_default="0", comment="kept back: 2, or 10%"),
    Column(
        "safety_quantity",
        Numeric,
        nullable=False,
        server_default=text("0"),
        comment="what is not above it is written as 0",
    ),
    Column("cap", Numeric, comment="never above"),
    Column("subtract_open_orders", Boolean, nullable=False, server_default=text("false")),
    Column(
        "most_to_zero",
        Numeric,
        nullable=False,
        server_default=text("0.5"),
        comment="share of the stocked products that one feed may set to zero",
    ),
    *_stock_rule_checks(),
    schema=FULFILMENT,
)

sku_stock_rules = Table(
    "sku_stock_rules",
    metadata,
    integration_column(),
    Column("sku", Text, nullable=False, comment="as the feed has it, or the product code"),
    Column("buffer", Text, comment="kept back: 2, or 10%"),
    Column("safety_quantity", Numeric, comment="what is not above it is written as 0"),
    Column("cap", Numeric, comment="never above; Infinity: none, whatever the integration has"),
    PrimaryKeyConstraint("integration", "sku"),
    *_stock_rule_checks("cap BETWEEN 0 AND 9999999999 OR cap = 'Infinity'"),
    schema=FULFILMENT,
)
"""Rules of single SKUs; NULL: that of the integration."""

last_push_runs = Table(
    "last_push_runs",
    metadata,
    integration_column(),
    Column("kind", Text, nullable=False, comment="shipments or stock"),
    moment_column("started_at", nullable=False, server_default=func.now()),
    moment_column("finished_at"),
    Column("failures", Integer, nullable=False, server_default=text("0"), comment="in a row"),
    moment_column(
        "not_before", comment="when the next starts by itself; longer after each failure"
    ),
    Column("error", Text),
    PrimaryKeyConstraint("integration", "kind"),
    schema=FULFILMENT,
)
"""The last push run of each kind, for the sensors and their back-off."""

deferred_orders = Table(
    "deferred_orders",
    metadata,
    integration_column(),
    Column("order_id", BigInteger, nullable=False),
    Column("order_numbers", ARRAY(Text), nullable=False, comment="as the inbox spells it"),
    Column("failures", Integer, nullable=False, comment="in a row"),
    moment_column(
        "not_before",
        nullable=False,
        comment="when a push tries it again by itself; longer after each failure",
    ),
    moment_column("tried_at", nullable=False, server_default=func.now()),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("integration", "order_id"),
    schema=FULFILMENT,
)
"""Orders that failed and are tried again later, see `fulfilment.shipments.deferred_orders`."""
