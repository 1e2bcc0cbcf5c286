"""The fulfilment room: orders out, the inboxes, the journal of writes to shops."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    """
    CREATE TABLE fulfilment.carriers (
        integration TEXT NOT NULL,
        name TEXT NOT NULL,
        code TEXT NOT NULL,
        computes_url BOOLEAN DEFAULT false NOT NULL,
        CONSTRAINT carriers_pkey PRIMARY KEY (integration, name)
    )
    """,
    """
    COMMENT ON COLUMN fulfilment.carriers.name IS 'as the fulfilment system writes it; * = others'
    """,
    """COMMENT ON COLUMN fulfilment.carriers.code IS 'the shop''s code'""",
    """
    COMMENT ON COLUMN fulfilment.carriers.computes_url
        IS 'the shop knows this carrier''s tracking page'
    """,
    """
    CREATE TABLE fulfilment.feeds (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        integration TEXT NOT NULL,
        kind TEXT NOT NULL,
        source TEXT NOT NULL,
        received_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        rows_taken INTEGER NOT NULL,
        rows_known INTEGER NOT NULL,
        rows_refused INTEGER NOT NULL,
        refusals JSONB DEFAULT '[]' NOT NULL,
        newest_as_of TIMESTAMP WITH TIME ZONE,
        state TEXT NOT NULL,
        reason TEXT,
        CONSTRAINT feeds_pkey PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX feeds_integration_idx ON fulfilment.feeds (integration, received_at)",
    """COMMENT ON COLUMN fulfilment.feeds.kind IS 'shipments or stock'""",
    """COMMENT ON COLUMN fulfilment.feeds.source IS 'name of the file, or stdin'""",
    """COMMENT ON COLUMN fulfilment.feeds.rows_known IS 'were in the inbox already'""",
    """COMMENT ON COLUMN fulfilment.feeds.refusals IS 'line, reason'""",
    """COMMENT ON COLUMN fulfilment.feeds.newest_as_of IS 'of a stock feed'""",
    """COMMENT ON COLUMN fulfilment.feeds.state IS 'taken, held, released, refused'""",
    """
    CREATE TABLE fulfilment.journal (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        integration TEXT NOT NULL,
        kind TEXT NOT NULL,
        target TEXT NOT NULL,
        state TEXT NOT NULL,
        order_id BIGINT,
        product_id BIGINT,
        tracking TEXT,
        plan JSONB DEFAULT '{}' NOT NULL,
        before JSONB,
        after JSONB,
        reason TEXT,
        attempts INTEGER DEFAULT 0 NOT NULL,
        run_id TEXT,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        sent_at TIMESTAMP WITH TIME ZONE,
        finished_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT journal_pkey PRIMARY KEY (id)
    )
    """,
    """
    CREATE UNIQUE INDEX journal_one_open_idx
        ON fulfilment.journal (integration, kind, target)
        WHERE state IN ('planned', 'applying', 'ambiguous')
    """,
    "CREATE INDEX journal_order_idx ON fulfilment.journal (integration, order_id)",
    "CREATE INDEX journal_product_idx ON fulfilment.journal (integration, product_id)",
    "CREATE INDEX journal_run_idx ON fulfilment.journal (integration, run_id)",
    """COMMENT ON COLUMN fulfilment.journal.kind IS 'shipment, order_status or stock'""",
    """COMMENT ON COLUMN fulfilment.journal.target IS 'order and parcel, order, or SKU'""",
    """COMMENT ON COLUMN fulfilment.journal.tracking IS 'the tracking number, normalised'""",
    """COMMENT ON COLUMN fulfilment.journal.plan IS 'what is sent'""",
    """COMMENT ON COLUMN fulfilment.journal.before IS 'what the shop had'""",
    """COMMENT ON COLUMN fulfilment.journal.after IS 'what was read back'""",
    """COMMENT ON COLUMN fulfilment.journal.run_id IS 'the run that worked on it last'""",
    """COMMENT ON COLUMN fulfilment.journal.sent_at IS 'before the last attempt was sent'""",
    """
    CREATE TABLE fulfilment.orders (
        integration TEXT NOT NULL,
        order_number TEXT NOT NULL,
        order_id BIGINT NOT NULL,
        client_user_id TEXT,
        status TEXT NOT NULL,
        ordered_at TIMESTAMP WITH TIME ZONE NOT NULL,
        total NUMERIC NOT NULL,
        currency TEXT NOT NULL,
        ship_to_name TEXT,
        company TEXT,
        address TEXT,
        city TEXT,
        state TEXT,
        zipcode TEXT,
        country TEXT,
        phone TEXT,
        email TEXT,
        shipping_method TEXT,
        pulled_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        position BIGINT NOT NULL,
        changed_at TIMESTAMP WITH TIME ZONE,
        changes JSONB,
        change_position BIGINT,
        source_hash BYTEA NOT NULL,
        CONSTRAINT orders_pkey PRIMARY KEY (integration, order_number),
        CONSTRAINT orders_order_id_key UNIQUE (integration, order_id),
        CONSTRAINT orders_position_key UNIQUE (integration, position)
    )
    """,
    """COMMENT ON COLUMN fulfilment.orders.order_number IS 'prefix and order id'""",
    """
    COMMENT ON COLUMN fulfilment.orders.client_user_id
        IS 'the client, as the fulfilment system calls him'
    """,
    """COMMENT ON COLUMN fulfilment.orders.country IS 'ISO 3166-1 alpha-2'""",
    """COMMENT ON COLUMN fulfilment.orders.position IS 'the cursor of the export'""",
    """
    COMMENT ON COLUMN fulfilment.orders.changed_at
        IS 'last change in the shop after the order was pulled'
    """,
    """
    COMMENT ON COLUMN fulfilment.orders.changes
        IS 'column -> [when pulled, now]; NULL while nothing changed'
    """,
    """
    COMMENT ON COLUMN fulfilment.orders.change_position IS 'the cursor of the export of changes'
    """,
    """COMMENT ON COLUMN fulfilment.orders.source_hash IS 'content_hash of the raw order'""",
    """
    CREATE TABLE fulfilment.rounds (
        integration TEXT NOT NULL,
        kind TEXT NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        finished_at TIMESTAMP WITH TIME ZONE,
        failures INTEGER DEFAULT 0 NOT NULL,
        not_before TIMESTAMP WITH TIME ZONE,
        error TEXT,
        CONSTRAINT rounds_pkey PRIMARY KEY (integration, kind)
    )
    """,
    """COMMENT ON COLUMN fulfilment.rounds.kind IS 'shipments or stock'""",
    """COMMENT ON COLUMN fulfilment.rounds.failures IS 'in a row'""",
    """
    COMMENT ON COLUMN fulfilment.rounds.not_before
        IS 'the next round by itself; longer after each failure'
    """,
    """
    CREATE TABLE fulfilment.shipments (
        integration TEXT NOT NULL,
        order_number TEXT NOT NULL,
        tracking_number TEXT NOT NULL,
        sku TEXT DEFAULT '' NOT NULL,
        quantity NUMERIC,
        carrier TEXT,
        tracking_url TEXT,
        shipped_at TIMESTAMP WITH TIME ZONE,
        received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        state TEXT DEFAULT 'waiting' NOT NULL,
        reason TEXT,
        source TEXT,
        journal_id BIGINT,
        settled_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT shipments_pkey PRIMARY KEY (integration, order_number, tracking_number, sku)
    )
    """,
    """
    CREATE INDEX shipments_open_idx
        ON fulfilment.shipments (integration, received_at)
        WHERE state IN ('waiting', 'taken')
    """,
    """COMMENT ON COLUMN fulfilment.shipments.sku IS ''''': all that is left'""",
    """COMMENT ON COLUMN fulfilment.shipments.quantity IS 'NULL: all that is left'""",
    """
    COMMENT ON COLUMN fulfilment.shipments.state
        IS 'waiting, taken (the journal has it), done, refused'
    """,
    """COMMENT ON COLUMN fulfilment.shipments.source IS 'file:line it came from; NULL for SQL'""",
    """
    CREATE TABLE fulfilment.sku_map (
        integration TEXT NOT NULL,
        sku TEXT NOT NULL,
        product_code TEXT NOT NULL,
        CONSTRAINT sku_map_pkey PRIMARY KEY (integration, sku)
    )
    """,
    """COMMENT ON COLUMN fulfilment.sku_map.sku IS 'as the fulfilment system writes it'""",
    """
    CREATE TABLE fulfilment.stock_levels (
        integration TEXT NOT NULL,
        sku TEXT NOT NULL,
        quantity NUMERIC,
        as_of TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        state TEXT DEFAULT 'waiting' NOT NULL,
        reason TEXT,
        source TEXT,
        feed_id BIGINT,
        journal_id BIGINT,
        settled_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT stock_levels_pkey PRIMARY KEY (integration, sku)
    )
    """,
    """
    CREATE INDEX stock_levels_open_idx
        ON fulfilment.stock_levels (integration, received_at)
        WHERE state IN ('waiting', 'held')
    """,
    """
    COMMENT ON COLUMN fulfilment.stock_levels.state
        IS 'waiting, held (by the circuit breaker), done, refused'
    """,
    """
    COMMENT ON COLUMN fulfilment.stock_levels.source IS 'file:line it came from; NULL for SQL'
    """,
    """
    CREATE TABLE fulfilment.stock_rules (
        integration TEXT NOT NULL,
        buffer INTEGER DEFAULT 0 NOT NULL,
        floor INTEGER DEFAULT 0 NOT NULL,
        cap INTEGER,
        subtract_open_orders BOOLEAN DEFAULT false NOT NULL,
        most_to_zero NUMERIC DEFAULT 0.5 NOT NULL,
        CONSTRAINT stock_rules_pkey PRIMARY KEY (integration)
    )
    """,
    """COMMENT ON COLUMN fulfilment.stock_rules.buffer IS 'kept back'""",
    """COMMENT ON COLUMN fulfilment.stock_rules.floor IS 'never below'""",
    """COMMENT ON COLUMN fulfilment.stock_rules.cap IS 'never above'""",
    """
    COMMENT ON COLUMN fulfilment.stock_rules.most_to_zero
        IS 'share of the stocked products that one feed may set to zero'
    """,
    """
    CREATE TABLE fulfilment.order_lines (
        integration TEXT NOT NULL,
        order_number TEXT NOT NULL,
        item_id TEXT NOT NULL,
        product_id BIGINT,
        sku TEXT,
        product TEXT,
        quantity INTEGER NOT NULL,
        price NUMERIC NOT NULL,
        CONSTRAINT order_lines_pkey PRIMARY KEY (integration, order_number, item_id),
        CONSTRAINT order_lines_order_fkey FOREIGN KEY(integration, order_number)
            REFERENCES fulfilment.orders (integration, order_number) ON DELETE CASCADE
    )
    """,
    """COMMENT ON COLUMN fulfilment.order_lines.sku IS 'the product code'""",
    """
    ALTER TABLE fulfilment.journal
        ADD CHECK (kind IN ('shipment', 'order_status', 'stock')),
        ADD CHECK (state IN
            ('planned', 'applying', 'verified', 'skipped', 'failed', 'ambiguous'))
    """,
    "ALTER TABLE fulfilment.shipments ADD CHECK (state IN ('waiting', 'taken', 'done', 'refused'))",
    "ALTER TABLE fulfilment.stock_levels"
    " ADD CHECK (state IN ('waiting', 'held', 'done', 'refused'))",
    # Whoever changes a level by SQL wants it pushed; the push itself changes only the state.
    """
    CREATE FUNCTION fulfilment.wait_again() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF (NEW.quantity, NEW.as_of) IS DISTINCT FROM (OLD.quantity, OLD.as_of) THEN
            NEW.state := 'waiting';
            NEW.reason := NULL;
            NEW.journal_id := NULL;
            NEW.settled_at := NULL;
            NEW.received_at := now();
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER wait_again BEFORE UPDATE ON fulfilment.stock_levels
        FOR EACH ROW EXECUTE FUNCTION fulfilment.wait_again()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.get_bind().exec_driver_sql(statement)
