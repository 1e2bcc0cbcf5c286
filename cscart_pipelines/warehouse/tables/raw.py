"""The tables of schema `cscart`: rows of the shops, their contacts, and rows that cannot be read.

Names, columns and keys only. Every key starts with `integration`, so that the tables can be
partitioned by shop. Rows of the shop carry `content_hash` (of all other columns, so that a merge
writes only what changed), `loaded_at` (when this version was written) and `deleted_at` (when the
shop no longer had the row; NULL while it has).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from cscart_pipelines.warehouse.tables.base import (
    RAW,
    integration_column,
    metadata,
    moment_column,
)


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
    # Columns of the detail object only (reference 8.3); NULL without details.
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
