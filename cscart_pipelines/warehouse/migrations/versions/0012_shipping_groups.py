"""Each order line keeps the shipping method of its shipping group.

An order may have several methods; the order's own column holds all their names, which does not say
how a line is to be shipped.
"""

from alembic import op

revision = "0012"
down_revision = "0011"

STATEMENTS = (
    "ALTER TABLE cscart.order_lines ADD COLUMN shipping_method TEXT",
    "ALTER TABLE fulfilment.order_lines ADD COLUMN shipping_method TEXT",
    """
    COMMENT ON COLUMN cscart.order_lines.shipping_method IS 'of the line''s shipping group'
    """,
    """
    COMMENT ON COLUMN fulfilment.order_lines.shipping_method IS 'of the line''s shipping group'
    """,
    """
    COMMENT ON COLUMN cscart.order_lines.product IS 'at the time of the order; with the variation'
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.get_bind().exec_driver_sql(statement)
