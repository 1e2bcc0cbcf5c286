"""The porch: what visitors' browsers tell."""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    "CREATE SCHEMA IF NOT EXISTS onsite",
    """
    CREATE TABLE onsite.consents (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        integration TEXT NOT NULL,
        event_id TEXT NOT NULL,
        email_sha256 TEXT NOT NULL,
        granted BOOLEAN NOT NULL,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT consents_pkey PRIMARY KEY (id)
    )
    """,
    "CREATE UNIQUE INDEX consents_event_idx ON onsite.consents (integration, event_id)",
    "CREATE INDEX consents_person_idx ON onsite.consents (integration, email_sha256, at)",
    """
    COMMENT ON COLUMN onsite.consents.granted
        IS 'subscribe: true, unsubscribe: false'
    """,
    """
    CREATE TABLE onsite.events (
        integration TEXT NOT NULL,
        event_id TEXT NOT NULL,
        day DATE NOT NULL,
        name TEXT NOT NULL,
        occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
        client_at TIMESTAMP WITH TIME ZONE NOT NULL,
        received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        visitor_id TEXT NOT NULL,
        email_sha256 TEXT,
        email TEXT,
        page TEXT,
        referrer TEXT,
        items JSONB,
        order_id TEXT,
        term TEXT,
        source TEXT,
        address TEXT,
        device TEXT,
        CONSTRAINT events_pkey PRIMARY KEY (integration, event_id, day)
    )
     PARTITION BY RANGE (day)
    """,
    "CREATE INDEX events_received_idx ON onsite.events (integration, received_at)",
    """
    COMMENT ON COLUMN onsite.events.day
        IS 'of client_at, in UTC'
    """,
    """
    COMMENT ON COLUMN onsite.events.occurred_at
        IS 'client_at, less the clock''s error'
    """,
    """
    COMMENT ON COLUMN onsite.events.email_sha256
        IS 'of the lower-cased, trimmed address'
    """,
    """
    COMMENT ON COLUMN onsite.events.email
        IS 'only where the integration allows it'
    """,
    """
    COMMENT ON COLUMN onsite.events.referrer
        IS 'host'
    """,
    """
    COMMENT ON COLUMN onsite.events.address
        IS 'truncated: /24 or /48'
    """,
    """
    COMMENT ON COLUMN onsite.events.device
        IS 'desktop, phone, tablet'
    """,
    """
    CREATE TABLE onsite.keys (
        write_key TEXT NOT NULL,
        integration TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        retired_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT keys_pkey PRIMARY KEY (write_key)
    )
    """,
    "CREATE INDEX keys_integration_idx ON onsite.keys (integration)",
    """
    COMMENT ON COLUMN onsite.keys.write_key
        IS 'public: it is in every page of the shop'
    """,
    """
    COMMENT ON COLUMN onsite.keys.retired_at
        IS 'not taken from then on'
    """,
    """
    CREATE TABLE onsite.purchases (
        integration TEXT NOT NULL,
        order_id TEXT NOT NULL,
        event_id TEXT NOT NULL,
        first_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT purchases_pkey PRIMARY KEY (integration, order_id)
    )
    """,
    """
    CREATE TABLE onsite.rejects (
        integration TEXT NOT NULL,
        day DATE NOT NULL,
        reason TEXT NOT NULL,
        times BIGINT DEFAULT 0 NOT NULL,
        example TEXT,
        last_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT rejects_pkey PRIMARY KEY (integration, day, reason)
    )
    """,
    """
    COMMENT ON COLUMN onsite.rejects.example
        IS 'a short piece of the last one, without addresses'
    """,
    """
    CREATE TABLE onsite.sites (
        integration TEXT NOT NULL,
        origins TEXT[] DEFAULT '{}' NOT NULL,
        raw_email BOOLEAN DEFAULT false NOT NULL,
        retention_days INTEGER DEFAULT 90 NOT NULL,
        batches_per_second INTEGER DEFAULT 200 NOT NULL,
        CONSTRAINT sites_pkey PRIMARY KEY (integration)
    )
    """,
    """
    COMMENT ON COLUMN onsite.sites.origins
        IS 'beside the shop''s own address'
    """,
    """
    CREATE TABLE onsite.touched (
        integration TEXT NOT NULL,
        kind TEXT NOT NULL,
        value TEXT NOT NULL,
        event TEXT NOT NULL,
        first_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        last_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        attempts INTEGER DEFAULT 0 NOT NULL,
        not_before TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        CONSTRAINT touched_pkey PRIMARY KEY (integration, kind, value)
    )
    """,
    """
    COMMENT ON COLUMN onsite.touched.kind
        IS 'order (its id) or person (email_sha256)'
    """,
    """
    COMMENT ON COLUMN onsite.touched.event
        IS 'name of the event that touched it last'
    """,
    """
    CREATE TABLE onsite.visitors (
        integration TEXT NOT NULL,
        visitor_id TEXT NOT NULL,
        email_sha256 TEXT NOT NULL,
        first_at TIMESTAMP WITH TIME ZONE NOT NULL,
        last_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT visitors_pkey PRIMARY KEY (integration, visitor_id, email_sha256)
    )
    """,
    "CREATE INDEX visitors_email_idx ON onsite.visitors (integration, email_sha256)",
    "CREATE TABLE onsite.events_other PARTITION OF onsite.events DEFAULT",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.get_bind().exec_driver_sql(statement)
