"""Quantities may have a fraction, for shops that sell by weight; stock rules for single SKUs.

A line of 1.50 made its order unreadable, and stock of 18.5 was unknown. PostgreSQL changes no type
of a column that a view reads, and the views of dbt and of users read these: they are dropped and
made again as they were.

The rule `floor` is gone: it made the shop sell what was not there. A safety quantity, which stops
the sale of the last pieces, is the opposite of it, so no value is taken over.
"""

from alembic import op

revision = "0011"
down_revision = "0013"

COLUMNS = (
    ("cscart", "order_lines", "quantity"),
    ("cscart", "products", "amount"),
    ("fulfilment", "order_lines", "quantity"),
    # The tables of dbt, which keeps them as they are: a fraction would be rounded into them.
    ("analytics", "order_lines", "quantity"),
    ("analytics", "product_funnel", "added_quantity"),
    ("analytics", "product_funnel", "bought_quantity"),
)

PRESENT = """
    SELECT format('%%I.%%I', table_schema, table_name), format('%%I', column_name)
    FROM information_schema.columns AS present
    JOIN unnest(%s::text[], %s::text[], %s::text[]) AS wanted (s, t, c)
        ON (table_schema, table_name, column_name) = (s, t, c)
    WHERE data_type <> 'numeric'
"""

VIEWS = """
    WITH RECURSIVE readers AS (
        SELECT unnest(%s::text[])::regclass::oid AS id, 0 AS depth
        UNION
        SELECT rule.ev_class, readers.depth + 1
        FROM readers
        JOIN pg_depend AS link ON link.refobjid = readers.id
            AND link.refclassid = 'pg_class'::regclass AND link.classid = 'pg_rewrite'::regclass
        JOIN pg_rewrite AS rule ON rule.oid = link.objid AND rule.ev_class <> readers.id
    ), views AS (
        SELECT id, max(depth) AS depth FROM readers WHERE depth > 0 GROUP BY id
    )
    SELECT id::regclass::text, CASE class.relkind WHEN 'm' THEN 'MATERIALIZED ' ELSE '' END,
        pg_get_viewdef(id), coalesce('WITH (' || array_to_string(reloptions, ', ') || ')', ''),
        pg_get_userbyid(relowner),
        coalesce((
            SELECT array_agg(format('GRANT %%s ON %%s TO %%s', privilege_type, id::regclass,
                CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END))
            FROM aclexplode(relacl) WHERE grantee <> relowner
        ), '{}'),
        coalesce((
            SELECT array_agg(format('COMMENT ON %%s %%s IS %%L', what, place, words))
            FROM (
                SELECT CASE relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END AS what,
                    id::regclass::text AS place, obj_description(id, 'pg_class') AS words
                UNION ALL
                SELECT 'COLUMN', format('%%s.%%I', id::regclass, attname),
                    col_description(id, attnum)
                FROM pg_attribute WHERE attrelid = id AND attnum > 0
            ) AS said WHERE words IS NOT NULL
        ), '{}'),
        coalesce((
            SELECT array_agg(pg_get_indexdef(indexrelid)) FROM pg_index WHERE indrelid = id
        ), '{}')
    FROM views JOIN pg_class AS class ON class.oid = id
    ORDER BY depth
"""

IS_BUFFER = "buffer ~ '^[0-9]{1,7}([.][0-9]{1,3})?%%?$'"

RULES = (
    """
    ALTER TABLE fulfilment.stock_rules
        ALTER COLUMN buffer DROP DEFAULT,
        ALTER COLUMN buffer TYPE TEXT USING least(greatest(buffer, 0), 9999999)::text,
        ALTER COLUMN buffer SET DEFAULT '0',
        ADD COLUMN safety_quantity NUMERIC DEFAULT 0 NOT NULL,
        ALTER COLUMN cap TYPE NUMERIC USING greatest(cap, 0),
        DROP COLUMN floor
    """,
    f"""
    ALTER TABLE fulfilment.stock_rules
        ADD CONSTRAINT buffer_is_readable CHECK ({IS_BUFFER}),
        ADD CONSTRAINT safety_quantity_is_plausible CHECK (safety_quantity BETWEEN 0 AND 9999999),
        ADD CONSTRAINT cap_is_plausible CHECK (cap BETWEEN 0 AND 9999999999)
    """,
    f"""
    CREATE TABLE fulfilment.sku_stock_rules (
        integration TEXT NOT NULL,
        sku TEXT NOT NULL,
        buffer TEXT,
        safety_quantity NUMERIC,
        cap NUMERIC,
        CONSTRAINT sku_stock_rules_pkey PRIMARY KEY (integration, sku),
        CONSTRAINT buffer_is_readable CHECK ({IS_BUFFER}),
        CONSTRAINT safety_quantity_is_plausible CHECK (safety_quantity BETWEEN 0 AND 9999999),
        CONSTRAINT cap_is_plausible CHECK (cap BETWEEN 0 AND 9999999999 OR cap = 'Infinity')
    )
    """,
    "COMMENT ON COLUMN fulfilment.stock_rules.buffer IS 'kept back: 2, or 10%%'",
    """
    COMMENT ON COLUMN fulfilment.stock_rules.safety_quantity
        IS 'what is not above it is written as 0'
    """,
    """
    COMMENT ON COLUMN fulfilment.sku_stock_rules.sku IS 'as the feed has it, or the product code'
    """,
    "COMMENT ON COLUMN fulfilment.sku_stock_rules.buffer IS 'kept back: 2, or 10%%'",
    """
    COMMENT ON COLUMN fulfilment.sku_stock_rules.safety_quantity
        IS 'what is not above it is written as 0'
    """,
    """
    COMMENT ON COLUMN fulfilment.sku_stock_rules.cap
        IS 'never above; Infinity: none, whatever the integration has'
    """,
)


def upgrade() -> None:
    execute = op.get_bind().exec_driver_sql
    present = execute(PRESENT, tuple(map(list, zip(*COLUMNS, strict=True)))).fetchall()
    tables = sorted({table for table, _ in present})
    views = execute(VIEWS, (tables,)).fetchall()
    for name, kind, *_ in reversed(views):
        execute(f"DROP {kind}VIEW {name}")
    for statement in RULES:
        execute(statement)
    for table, column in present:
        execute(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE NUMERIC")
    for name, kind, query, options, owner, grants, comments, indexes in views:
        execute(f"CREATE {kind}VIEW {name} {options} AS {query}".replace("%", "%%"))
        execute(f'ALTER {kind}VIEW {name} OWNER TO "{owner}"')
        for statement in (*indexes, *grants, *comments):
            execute(statement.replace("%", "%%"))
