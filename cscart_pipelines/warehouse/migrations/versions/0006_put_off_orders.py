"""Orders that a push could not work on are put off one by one.

One order on which the shop always breaks counted as a failure of its whole integration, whose
pauses grew to an hour; eight of them, waiting longest, let no other order through.
"""

from alembic import op

revision = "0006"
down_revision = "0005"

STATEMENTS = (
    """
    CREATE TABLE fulfilment.put_off_orders (
        integration TEXT NOT NULL,
        order_id BIGINT NOT NULL,
        order_numbers TEXT[] NOT NULL,
        failures INTEGER NOT NULL,
        not_before TIMESTAMP WITH TIME ZONE NOT NULL,
        tried_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        reason TEXT NOT NULL,
        CONSTRAINT put_off_orders_pkey PRIMARY KEY (integration, order_id)
    )
    """,
    "COMMENT ON COLUMN fulfilment.put_off_orders.order_numbers IS 'as the inbox spells it'",
    "COMMENT ON COLUMN fulfilment.put_off_orders.failures IS 'in a row'",
    """
    COMMENT ON COLUMN fulfilment.put_off_orders.not_before
        IS 'when a push tries it again by itself; longer after each failure'
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.get_bind().exec_driver_sql(statement)
