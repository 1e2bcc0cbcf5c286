"""The statements of a pull of orders, over sets: the raw tables against what was pulled.

Constants only; `pull` runs them in this order. Orders and lines are read by one statement, so that
a synchronisation that commits meanwhile cannot come between them.
"""

from __future__ import annotations

WITHOUT_DETAILS = "details not read yet"

STAGES = ("feed_orders", "feed_lines", "feed_compared")

COLUMNS = (
    "status", "ordered_at", "total", "ship_to_name", "company", "address", "city", "state",
    "zipcode", "country", "phone", "email", "shipping_method",
)  # fmt: skip
"""What is exported of an order and compared for changes. Number, client and currency stay as they
were when it was pulled."""

_COUNTRY = (
    "coalesce(nullif(upper(trim(placed.s_country)), ''), nullif(upper(trim(placed.b_country)), ''))"
)
"""Shipping address, else billing address."""


def _name(first: str, last: str) -> str:
    joined = f"concat_ws(' ', nullif(trim({first}), ''), nullif(trim({last}), ''))"
    return f"nullif({joined}, '')"


_SHIP_TO = (
    f"coalesce({_name('placed.s_firstname', 'placed.s_lastname')},"
    f" {_name('placed.firstname', 'placed.lastname')})"
)
_VALUES = f"""
    placed.status, placed.ordered_at, placed.total, {_SHIP_TO} AS ship_to_name,
    nullif(trim(placed.company), '') AS company,
    nullif(concat_ws(', ', nullif(trim(placed.s_address), ''),
                     nullif(trim(placed.s_address_2), '')), '') AS address,
    nullif(trim(placed.s_city), '') AS city, nullif(trim(placed.s_state), '') AS state,
    nullif(trim(placed.s_zipcode), '') AS zipcode, {_COUNTRY} AS country,
    coalesce(nullif(trim(placed.s_phone), ''), nullif(trim(placed.phone), '')) AS phone,
    nullif(trim(placed.email), '') AS email,
    nullif(trim(placed.shipping_method), '') AS shipping_method
"""

_REASON = f"""
    CASE
        WHEN placed.is_parent_order THEN 'parent of orders by vendor'
        WHEN placed.deleted_at IS NOT NULL THEN 'deleted in the shop'
        WHEN placed.status = 'N' AND NOT %(incomplete)s::boolean THEN 'checkout not finished'
        WHEN placed.ordered_at < %(start)s::timestamptz THEN 'before the start date'
        WHEN placed.status <> ALL(%(letters)s::text[]) THEN 'other status'
        WHEN coalesce(placed.company_id, 0) <> ALL(%(companies)s::bigint[]) THEN 'other company'
        WHEN NOT placed.has_details THEN '{WITHOUT_DETAILS}'
        WHEN coalesce(placed.storefront_id, 0) <> ALL(%(storefronts)s::bigint[])
            THEN 'other storefront'
        WHEN %(countries)s::text[] IS NOT NULL
             AND coalesce({_COUNTRY}, '') <> ALL(%(countries)s::text[]) THEN 'other country'
        WHEN EXISTS (
            SELECT FROM fulfilment.orders AS taken
            WHERE taken.integration = placed.integration
              AND taken.order_number = %(prefix)s::text || placed.order_id
        ) THEN 'order number given to another order'
        WHEN EXISTS (
            SELECT FROM fulfilment.orders AS taken
            WHERE taken.integration = ANY(%(siblings)s::text[])
              AND taken.order_id = placed.order_id
        ) THEN 'handed out by another integration of the shop'
    END
"""  # noqa: S608 (constants, here and below)
"""Why an order that was not pulled yet is not pulled now; NULL: it is. The last two: the prefix was
changed so that a new number is an old one; the order was inside another integration's limit."""

COUNT_SKIPPED = f"""
    SELECT reason, count(*) FROM (
        SELECT {_REASON} AS reason FROM cscart.orders AS placed
        WHERE placed.integration = %(shop)s AND NOT EXISTS (
            SELECT FROM fulfilment.orders AS known
            WHERE known.integration = placed.integration AND known.order_id = placed.order_id
        )
    ) AS judged WHERE reason IS NOT NULL GROUP BY reason
"""  # noqa: S608

_FEED_ORDERS = f"""
    CREATE TEMP TABLE feed_orders ON COMMIT DROP AS
    SELECT order_id, order_number, {", ".join(COLUMNS)}, source_hash, false AS is_new,
           false AS is_gone, own_status_id, status AS own_status
    FROM fulfilment.orders WITH NO DATA
"""  # noqa: S608
_FEED_LINES = """
    CREATE TEMP TABLE feed_lines ON COMMIT DROP AS
    SELECT 0::bigint AS order_id, item_id, product_id, sku, product, quantity, price,
           shipping_method
    FROM fulfilment.order_lines WITH NO DATA
"""
PREPARE = (
    *(f"DROP TABLE IF EXISTS pg_temp.{name}" for name in STAGES),
    _FEED_ORDERS,
    _FEED_LINES,
)

_OWN_STATUS = """
    SELECT entry.id, coalesce(entry.after ->> 'status', entry.plan ->> 'to') AS letter
    FROM fulfilment.journal AS entry
    WHERE entry.integration = placed.integration AND entry.order_id = placed.order_id
      AND entry.kind = 'order_status' AND CASE
          WHEN entry.state IN ('applying', 'ambiguous') THEN entry.plan ->> 'to' = placed.status
          WHEN entry.state <> 'verified' THEN false
          WHEN entry.after ? 'updated_at' AND placed.updated_at IS NOT NULL
              THEN (entry.after ->> 'updated_at')::timestamptz <= placed.updated_at
          ELSE entry.after ->> 'status' = placed.status OR entry.sent_at < placed.loaded_at END
    ORDER BY entry.id DESC LIMIT 1
"""
"""The last status that this project wrote to an order before the shop showed it as it is in the raw
tables. An unconfirmed write counts where the shop has what was written. By the shop's own times of
change where it has them (from 4.13 on); elsewhere by ours."""

STAGE = f"""
    WITH staged AS (
        INSERT INTO feed_orders
        SELECT placed.order_id,
               coalesce(known.order_number, %(prefix)s::text || placed.order_id),
               {_VALUES}, placed.content_hash, known.order_id IS NULL,
               placed.deleted_at IS NOT NULL, own.id, own.letter
        FROM cscart.orders AS placed
        LEFT JOIN fulfilment.orders AS known
            ON known.integration = placed.integration AND known.order_id = placed.order_id
        LEFT JOIN LATERAL ({_OWN_STATUS}) AS own ON true
        WHERE placed.integration = %(shop)s AND CASE
            WHEN known.order_id IS NULL THEN ({_REASON}) IS NULL
            ELSE known.source_hash <> placed.content_hash
                OR (placed.deleted_at IS NOT NULL)
                    <> coalesce(known.changes ? 'deleted', false) END
        RETURNING order_id
    )
    INSERT INTO feed_lines
    SELECT line.order_id, line.item_id, line.product_id, nullif(trim(line.product_code), ''),
           line.product, line.quantity, line.price, line.shipping_method
    FROM staged JOIN cscart.order_lines AS line
        ON line.integration = %(shop)s AND line.order_id = staged.order_id
"""  # noqa: S608

AFTER_STAGE = ("ANALYZE feed_orders", "ANALYZE feed_lines")

LAST_POSITION = """
    SELECT coalesce(greatest(max(position), max(change_position)), 0) FROM fulfilment.orders
    WHERE integration = %(shop)s
"""

INSERT_ORDERS = f"""
    INSERT INTO fulfilment.orders (integration, order_number, order_id, client_user_id, currency,
        {", ".join(COLUMNS)}, pulled_at, position, source_hash, own_status_id)
    SELECT %(shop)s, order_number, order_id, %(client)s, %(currency)s, {", ".join(COLUMNS)},
           statement_timestamp(), %(base)s + row_number() OVER (ORDER BY order_id), source_hash,
           own_status_id
    FROM feed_orders WHERE is_new
"""  # noqa: S608

INSERT_LINES = """
    INSERT INTO fulfilment.order_lines
        (integration, order_number, item_id, product_id, sku, product, quantity, price,
         shipping_method)
    SELECT %(shop)s, fresh.order_number, line.item_id, line.product_id, line.sku, line.product,
           line.quantity, line.price, line.shipping_method
    FROM feed_orders AS fresh JOIN feed_lines AS line USING (order_id) WHERE fresh.is_new
"""


def _object(alias: str) -> str:
    """The watched columns as JSON; the moment in one spelling, whatever the session's zone."""
    pairs = []
    for name in COLUMNS:
        value = f"{alias}.{name}"
        if name == "ordered_at":
            value = f"to_char({value} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"+00:00\"')"
        pairs.append(f"'{name}', {value}")
    return f"jsonb_build_object({', '.join(pairs)})"


_LINE = (
    "jsonb_build_object('sku', line.sku, 'product_id', line.product_id, 'product', line.product,"
    " 'quantity', line.quantity, 'price', line.price, 'shipping_method', line.shipping_method)"
)

COMPARE = f"""
    CREATE TEMP TABLE feed_compared ON COMMIT DROP AS
    WITH news AS (
        SELECT fresh.order_id, fresh.is_gone, known.order_number, known.changes AS marked,
               {_object("known")} || CASE
                   WHEN fresh.own_status_id > coalesce(known.own_status_id, 0)
                   THEN jsonb_build_object('status', fresh.own_status) ELSE '{{}}' END AS now_here,
               {_object("fresh")} AS there
        FROM feed_orders AS fresh
        JOIN fulfilment.orders AS known
            ON known.integration = %(shop)s AND known.order_id = fresh.order_id
        WHERE NOT fresh.is_new
    ), lines_here AS (
        SELECT news.order_id, jsonb_object_agg(line.item_id, {_LINE}) AS lines
        FROM news JOIN fulfilment.order_lines AS line
            ON line.integration = %(shop)s AND line.order_number = news.order_number
        GROUP BY news.order_id
    ), lines_there AS (
        SELECT line.order_id, jsonb_object_agg(line.item_id, {_LINE}) AS lines
        FROM news JOIN feed_lines AS line USING (order_id) GROUP BY line.order_id
    ), both_sides AS (
        SELECT news.*, coalesce(lines_here.lines, '{{}}') AS lines_here,
               coalesce(lines_there.lines, '{{}}') AS lines_there,
               coalesce(news.marked -> 'lines', '{{}}') AS lines_marked
        FROM news LEFT JOIN lines_here USING (order_id) LEFT JOIN lines_there USING (order_id)
    )
    SELECT side.order_id, side.order_number, side.is_gone,
           side.lines_here <> side.lines_there AS lines_differ,
           side.now_here <> side.there OR side.lines_here <> side.lines_there
               OR side.is_gone <> coalesce(side.marked ? 'deleted', false) AS moved,
           nullif(coalesce(of_columns.changes, '{{}}')
               || CASE WHEN of_lines.changes IS NULL THEN '{{}}'
                       ELSE jsonb_build_object('lines', of_lines.changes) END
               || CASE WHEN side.is_gone THEN '{{"deleted": [false, true]}}'::jsonb
                       ELSE '{{}}' END, '{{}}') AS changes
    FROM both_sides AS side
    CROSS JOIN LATERAL (
        SELECT jsonb_object_agg(name, jsonb_build_array(pulled, now_there)) AS changes
        FROM (SELECT each.key AS name, each.value AS now_there,
                     coalesce(side.marked -> each.key -> 0, side.now_here -> each.key) AS pulled
              FROM jsonb_each(side.there) AS each) AS compared
        WHERE pulled <> now_there
    ) AS of_columns
    CROSS JOIN LATERAL (
        SELECT jsonb_object_agg(item, jsonb_build_array(pulled, now_there)) AS changes
        FROM (SELECT item, coalesce(side.lines_there -> item, 'null') AS now_there,
                     coalesce(side.lines_marked -> item -> 0, side.lines_here -> item, 'null')
                         AS pulled
              FROM jsonb_object_keys(side.lines_here || side.lines_there || side.lines_marked)
                  AS item) AS compared
        WHERE pulled <> now_there
    ) AS of_lines
"""  # noqa: S608
"""What an order was when it was pulled is what it is here, with the first value of each mark put
back; a line that was not there is null. A status that this project has written since is what the
order is here: the shop's repeating it is no change, and anything else is."""

_SET = ", ".join(f"{name} = fresh.{name}" for name in COLUMNS) + (
    ", source_hash = fresh.source_hash,"
    " own_status_id = greatest(known.own_status_id, fresh.own_status_id)"
)

UPDATE_MOVED = f"""
    UPDATE fulfilment.orders AS known
    SET {_SET}, changes = moved.changes, changed_at = statement_timestamp(),
        change_position = %(base)s + moved.place
    FROM (
        SELECT order_id, changes, row_number() OVER (ORDER BY order_id) AS place
        FROM feed_compared WHERE moved
    ) AS moved JOIN feed_orders AS fresh USING (order_id)
    WHERE known.integration = %(shop)s AND known.order_id = moved.order_id
"""  # noqa: S608

UPDATE_REST = f"""
    UPDATE fulfilment.orders AS known SET {_SET}, changes = same.changes
    FROM feed_compared AS same JOIN feed_orders AS fresh USING (order_id)
    WHERE NOT same.moved AND known.integration = %(shop)s AND known.order_id = same.order_id
"""  # noqa: S608
"""Changed in what is not handed out (the shop's own notes, the account), or by this project."""

DELETE_LINES = """
    DELETE FROM fulfilment.order_lines AS line USING feed_compared AS changed
    WHERE changed.lines_differ AND line.integration = %(shop)s
      AND line.order_number = changed.order_number
"""

REPLACE_LINES = """
    INSERT INTO fulfilment.order_lines
        (integration, order_number, item_id, product_id, sku, product, quantity, price,
         shipping_method)
    SELECT %(shop)s, changed.order_number, line.item_id, line.product_id, line.sku, line.product,
           line.quantity, line.price, line.shipping_method
    FROM feed_compared AS changed JOIN feed_lines AS line USING (order_id)
    WHERE changed.lines_differ
"""

COUNT_ORDERS = "SELECT count(*) FROM fulfilment.orders WHERE integration = %(shop)s"
