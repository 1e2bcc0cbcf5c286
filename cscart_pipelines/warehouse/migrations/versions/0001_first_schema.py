"""The first schema: raw tables of the shop, the registry, and the analysts' role."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

SCHEMAS = ("cscart", "registry", "fulfilment", "analytics")

ANALYST_ROLE = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') THEN
        CREATE ROLE analyst LOGIN;
    END IF;
EXCEPTION
    -- Another database of this server was faster, or this account may not make roles: then the
    -- owner of the server makes it, and dbt grants to it from the next build on.
    WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN NULL;
END $$;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') THEN
        GRANT USAGE ON SCHEMA analytics TO analyst;
        ALTER DEFAULT PRIVILEGES IN SCHEMA analytics GRANT SELECT ON TABLES TO analyst;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN NULL;
END $$;
"""


def upgrade() -> None:
    for schema in SCHEMAS:
        op.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    op.create_table(
        "categories",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("category_id", sa.BigInteger(), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column(
            "loaded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("integration", "category_id", name=op.f("categories_pkey")),
        schema="cscart",
    )
    op.create_table(
        "customers",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True, comment="as the shop has it; NULL when empty"),
        sa.Column("firstname", sa.Text(), nullable=True),
        sa.Column("lastname", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("company", sa.Text(), nullable=True),
        sa.Column("company_id", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True, comment="A active, D disabled"),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_login_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column(
            "loaded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("integration", "user_id", name=op.f("customers_pkey")),
        schema="cscart",
    )
    op.create_table(
        "order_lines",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False, comment="cart id: a 32-bit number as text"),
        sa.Column("product_id", sa.BigInteger(), nullable=True),
        sa.Column("product_code", sa.Text(), nullable=True),
        sa.Column("product", sa.Text(), nullable=True, comment="name at the time of the order"),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("price", sa.Numeric(), nullable=False, comment="unit price after line discount"),
        sa.Column("base_price", sa.Numeric(), nullable=True),
        sa.Column("discount", sa.Numeric(), nullable=True, comment="per unit"),
        sa.Column("subtotal", sa.Numeric(), nullable=True),
        sa.Column("company_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint(
            "integration", "order_id", "item_id", name=op.f("order_lines_pkey")
        ),
        schema="cscart",
    )
    op.create_table(
        "orders",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("is_parent_order", sa.Boolean(), nullable=False),
        sa.Column(
            "parent_order_id",
            sa.BigInteger(),
            nullable=True,
            comment="NULL when the order was not split",
        ),
        sa.Column(
            "company_id",
            sa.BigInteger(),
            nullable=True,
            comment="vendor (Multi-Vendor) or storefront owner",
        ),
        sa.Column("storefront_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "user_id",
            sa.BigInteger(),
            nullable=True,
            comment="NULL for a guest or a deleted account",
        ),
        sa.Column(
            "issuer_id",
            sa.BigInteger(),
            nullable=True,
            comment="administrator who entered the order",
        ),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("firstname", sa.Text(), nullable=True),
        sa.Column("lastname", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("company", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("total", sa.Numeric(), nullable=False, comment="primary currency of the shop"),
        sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "has_details", sa.Boolean(), nullable=False, comment="false: only the list row was read"
        ),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("subtotal", sa.Numeric(), nullable=True),
        sa.Column("discount", sa.Numeric(), nullable=True),
        sa.Column("subtotal_discount", sa.Numeric(), nullable=True),
        sa.Column("shipping_cost", sa.Numeric(), nullable=True),
        sa.Column("payment_surcharge", sa.Numeric(), nullable=True),
        sa.Column(
            "tax_total",
            sa.Numeric(),
            nullable=True,
            comment="sum of taxes.*.tax_subtotal (reference 8.3)",
        ),
        sa.Column("promotion_ids", sa.Text(), nullable=True),
        sa.Column(
            "secondary_currency",
            sa.Text(),
            nullable=True,
            comment="what the shopper saw; amounts are not in it",
        ),
        sa.Column("lang_code", sa.Text(), nullable=True),
        sa.Column("shipping_ids", sa.Text(), nullable=True),
        sa.Column("shipping_method", sa.Text(), nullable=True),
        sa.Column("s_firstname", sa.Text(), nullable=True),
        sa.Column("s_lastname", sa.Text(), nullable=True),
        sa.Column("s_address", sa.Text(), nullable=True),
        sa.Column("s_address_2", sa.Text(), nullable=True),
        sa.Column("s_city", sa.Text(), nullable=True),
        sa.Column("s_state", sa.Text(), nullable=True),
        sa.Column("s_zipcode", sa.Text(), nullable=True),
        sa.Column("s_country", sa.Text(), nullable=True, comment="ISO 3166-1 alpha-2"),
        sa.Column("s_country_name", sa.Text(), nullable=True),
        sa.Column("s_phone", sa.Text(), nullable=True),
        sa.Column("b_country", sa.Text(), nullable=True),
        sa.Column("b_country_name", sa.Text(), nullable=True),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column(
            "loaded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("integration", "order_id", name=op.f("orders_pkey")),
        schema="cscart",
    )
    op.create_table(
        "products",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("product_code", sa.Text(), nullable=True),
        sa.Column("product", sa.Text(), nullable=True),
        sa.Column("product_type", sa.Text(), nullable=True),
        sa.Column("parent_product_id", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("company_id", sa.BigInteger(), nullable=True),
        sa.Column("amount", sa.Integer(), nullable=True),
        sa.Column("price", sa.Numeric(), nullable=True),
        sa.Column("list_price", sa.Numeric(), nullable=True),
        sa.Column("tracking", sa.Text(), nullable=True),
        sa.Column("main_category", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column(
            "loaded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("integration", "product_id", name=op.f("products_pkey")),
        schema="cscart",
    )
    op.create_table(
        "rejects",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False, comment="customers, orders, products, …"),
        sa.Column(
            "entity_key",
            sa.Text(),
            nullable=False,
            comment="the id, or position:N where none is known",
        ),
        sa.Column(
            "reason", sa.Text(), nullable=False, comment="field and expectation; never the payload"
        ),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "first_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "last_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("integration", "entity", "entity_key", name=op.f("rejects_pkey")),
        schema="cscart",
    )
    op.create_table(
        "shipments",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("shipment_id", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=True),
        sa.Column("shipped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("tracking_number", sa.Text(), nullable=True),
        sa.Column("carrier", sa.Text(), nullable=True),
        sa.Column("tracking_url", sa.Text(), nullable=True),
        sa.Column("shipping_id", sa.BigInteger(), nullable=True),
        sa.Column("shipping_method", sa.Text(), nullable=True),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("products", postgresql.JSONB(), nullable=True, comment="item id -> quantity"),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column(
            "loaded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("integration", "shipment_id", name=op.f("shipments_pkey")),
        schema="cscart",
    )
    op.create_table(
        "statuses",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False, comment="O orders, S shipments"),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("status_id", sa.BigInteger(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column(
            "inventory", sa.Text(), nullable=True, comment="D decreases stock, I gives it back"
        ),
        sa.Column(
            "payment_received",
            sa.Boolean(),
            nullable=True,
            comment="NULL where the shop does not say",
        ),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column(
            "loaded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("integration", "type", "status", name=op.f("statuses_pkey")),
        schema="cscart",
    )
    op.create_table(
        "integrations",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("list_name", sa.Text(), nullable=False),
        sa.Column(
            "url", sa.Text(), nullable=False, comment="normalised base address, no trailing slash"
        ),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column(
            "api_key_sealed",
            sa.LargeBinary(),
            nullable=True,
            comment="encrypted; NULL when it is a reference",
        ),
        sa.Column("api_key_reference", sa.Text(), nullable=True, comment="env:NAME or file:/path"),
        sa.Column("timezone", sa.Text(), server_default="UTC", nullable=False),
        sa.Column("currency", sa.Text(), server_default="EUR", nullable=False),
        sa.Column(
            "settled_statuses",
            postgresql.ARRAY(sa.Text()),
            nullable=True,
            comment="NULL: as the shop's payment_received says",
        ),
        sa.Column(
            "refund_statuses",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("include_guests", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "user_id",
            sa.Text(),
            nullable=True,
            comment="the client id stamped on fulfilment orders",
        ),
        sa.Column("order_prefix", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "start_date", sa.Date(), nullable=True, comment="fulfilment ignores earlier orders"
        ),
        sa.Column(
            "countries", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column(
            "order_statuses",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "update_tracking_number", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column(
            "update_tracking_url", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("update_stock", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("stock_schedule", sa.Text(), nullable=True),
        sa.Column("shipped_status", sa.Text(), nullable=True),
        sa.Column("partially_shipped_status", sa.Text(), nullable=True),
        sa.Column("notify_customer", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("status", sa.Text(), server_default="ready", nullable=False),
        sa.Column("status_reason", sa.Text(), nullable=True),
        sa.Column(
            "status_since",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "attempts",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="failed synchronisations since the last success",
        ),
        sa.Column(
            "failure_permanent", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("capabilities", postgresql.JSONB(), nullable=True),
        sa.Column(
            "tested_fingerprint",
            sa.Text(),
            nullable=True,
            comment="of the connection details that passed the test",
        ),
        sa.Column("tested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_synced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_synced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("integration", name=op.f("integrations_pkey")),
        sa.UniqueConstraint("list_name", name=op.f("integrations_list_name_key")),
        schema="registry",
    )
    op.create_table(
        "list_builds",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True, comment="the Dagster run"),
        sa.Column(
            "covers_sync",
            sa.BigInteger(),
            nullable=False,
            comment="every sync run up to this is in it",
        ),
        sa.Column(
            "as_of",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="what the models take for now",
        ),
        sa.Column(
            "finished_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("list_builds_pkey")),
        schema="registry",
    )
    op.create_table(
        "sweep_seen",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("part", sa.BigInteger(), nullable=False),
        sa.Column("ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.PrimaryKeyConstraint("integration", "entity", "part", name=op.f("sweep_seen_pkey")),
        schema="registry",
    )
    op.create_table(
        "sync_requests",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("whole", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "requested_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("integration", name=op.f("sync_requests_pkey")),
        schema="registry",
    )
    op.create_table(
        "sync_runs",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column(
            "run_id", sa.Text(), nullable=True, comment="the Dagster run, where there is one"
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="first, resync or full"),
        sa.Column("state", sa.Text(), nullable=False, comment="running, succeeded, failed"),
        sa.Column("phase", sa.Text(), nullable=True),
        sa.Column("rows_done", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rows_total", sa.BigInteger(), nullable=True),
        sa.Column("host", sa.Text(), nullable=True),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "heartbeat_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column(
            "error_kind",
            sa.Text(),
            nullable=True,
            comment="class of the failure, for exit codes and alerts",
        ),
        sa.Column("stats", postgresql.JSONB(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("sync_runs_pkey")),
        schema="registry",
    )
    op.create_index(
        "sync_runs_one_running_idx",
        "sync_runs",
        ["integration"],
        unique=True,
        schema="registry",
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "sync_state",
        sa.Column("integration", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column(
            "watermark",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="the shop's clock: all changes before it are loaded",
        ),
        sa.Column(
            "walk",
            postgresql.JSONB(),
            nullable=True,
            comment="an unfinished walk through pages, to go on from",
        ),
        sa.Column(
            "totals",
            postgresql.JSONB(),
            nullable=True,
            comment="counts the shop reported at the last finished walk",
        ),
        sa.Column(
            "swept_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="last full sweep that looked for deletions",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("integration", "entity", name=op.f("sync_state_pkey")),
        schema="registry",
    )
    op.execute(ANALYST_ROLE)
