"""What is meant by the e-mails and phones of the raw tables: one row per distinct text.

The models and the purge of a person each had rules of their own for the same address. The texts are
read by `identity` in Python; these views are the one place where SQL learns the result.
"""

from alembic import op

revision = "0009"
down_revision = "0007"

COUNTRY = """
    CASE
        WHEN trim(s_country) ~ '^[A-Za-z]{2}$' THEN upper(trim(s_country))
        WHEN trim(b_country) ~ '^[A-Za-z]{2}$' THEN upper(trim(b_country))
        ELSE ''
    END
"""
READ = """
        CASE WHEN mail.kind = 'usable' THEN mail.address END AS email,
        mail.address AS any_address,
        CASE WHEN mail.kind = 'faulty' THEN mail.address END AS faulty_email,
"""
IDENTITY = """
        coalesce(
            CASE WHEN mail.kind = 'usable' THEN mail.address END,
            {mobile},
            CASE WHEN mail.kind = 'faulty' THEN mail.address END
        ) AS identity
"""

STATEMENTS = (
    """
    ALTER TABLE registry.integrations ADD COLUMN default_country TEXT
    """,
    """
    COMMENT ON COLUMN registry.integrations.default_country
        IS 'ISO 3166-1 alpha-2, of phones without one; NULL: of the time zone'
    """,
    """
    CREATE TABLE cscart.email_addresses (
        integration TEXT NOT NULL,
        raw TEXT NOT NULL,
        address TEXT,
        kind TEXT,
        written_sha256 TEXT NOT NULL,
        address_sha256 TEXT,
        CONSTRAINT email_addresses_pkey PRIMARY KEY (integration, raw)
    )
    """,
    """
    COMMENT ON COLUMN cscart.email_addresses.address
        IS 'the normalised e-mail that is meant; NULL where none is'
    """,
    "COMMENT ON COLUMN cscart.email_addresses.kind IS 'usable, reserved or faulty'",
    """
    COMMENT ON COLUMN cscart.email_addresses.written_sha256
        IS 'of the text as browsers normalise it before they hash it'
    """,
    """
    CREATE TABLE cscart.phone_numbers (
        integration TEXT NOT NULL,
        raw TEXT NOT NULL,
        country TEXT NOT NULL,
        region TEXT NOT NULL,
        mobile TEXT,
        CONSTRAINT phone_numbers_pkey PRIMARY KEY (integration, raw, country)
    )
    """,
    """
    COMMENT ON COLUMN cscart.phone_numbers.country
        IS 'ISO 3166-1 alpha-2 of the customer; empty where it is not known'
    """,
    """
    COMMENT ON COLUMN cscart.phone_numbers.region
        IS 'the country that the number was read by; empty for none'
    """,
    "COMMENT ON COLUMN cscart.phone_numbers.mobile IS 'E.164; NULL where it can be no mobile'",
    f"""
    CREATE VIEW cscart.account_countries AS
    SELECT DISTINCT ON (integration, user_id) integration, user_id, country
    FROM (
        SELECT integration, user_id, ordered_at, order_id, {COUNTRY} AS country
        FROM cscart.orders WHERE user_id IS NOT NULL
    ) AS placed
    WHERE country <> ''
    ORDER BY integration, user_id, ordered_at DESC, order_id DESC
    """,  # noqa: S608 - constants
    """
    COMMENT ON VIEW cscart.account_countries
        IS 'the country of an account''s newest order: users themselves have none in the API'
    """,
    f"""
    CREATE VIEW cscart.customer_contacts AS
    SELECT
        account.integration,
        account.user_id,
        account.phone AS raw_phone,
        coalesce(home.country, '') AS country,
        {READ}
        phone.mobile,
        {IDENTITY.format(mobile="phone.mobile")}
    FROM cscart.customers AS account
    LEFT JOIN cscart.account_countries AS home USING (integration, user_id)
    LEFT JOIN cscart.email_addresses AS mail
        ON mail.integration = account.integration AND mail.raw = account.email
    LEFT JOIN cscart.phone_numbers AS phone
        ON phone.integration = account.integration AND phone.raw = account.phone
        AND phone.country = coalesce(home.country, '')
    """,  # noqa: S608 - constants
    f"""
    CREATE VIEW cscart.order_contacts AS
    SELECT
        placed.integration,
        placed.order_id,
        placed.phone AS raw_phone,
        placed.s_phone AS raw_shipping_phone,
        placed.country,
        {READ}
        coalesce(phone.mobile, shipping_phone.mobile) AS mobile,
        {IDENTITY.format(mobile="phone.mobile, shipping_phone.mobile")}
    FROM (
        SELECT integration, order_id, email, phone, s_phone, {COUNTRY} AS country
        FROM cscart.orders
    ) AS placed
    LEFT JOIN cscart.email_addresses AS mail
        ON mail.integration = placed.integration AND mail.raw = placed.email
    LEFT JOIN cscart.phone_numbers AS phone
        ON phone.integration = placed.integration AND phone.raw = placed.phone
        AND phone.country = placed.country
    LEFT JOIN cscart.phone_numbers AS shipping_phone
        ON shipping_phone.integration = placed.integration
        AND shipping_phone.raw = placed.s_phone AND shipping_phone.country = placed.country
    """,  # noqa: S608 - constants
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.get_bind().exec_driver_sql(statement)
