"""What an integration takes of an installation, and which status of an order it wrote itself.

Two storefronts of one installation were each read whole, so their orders were handed out and
counted twice. A status written to the shop came back as a change of the shop's.
"""

from alembic import op

revision = "0013"
down_revision = "0006"

STATEMENTS = (
    """
    ALTER TABLE registry.integrations
        ADD COLUMN storefronts BIGINT[] DEFAULT '{}' NOT NULL,
        ADD COLUMN companies BIGINT[] DEFAULT '{}' NOT NULL
    """,
    "COMMENT ON COLUMN registry.integrations.storefronts IS 'ids; empty: all'",
    "COMMENT ON COLUMN registry.integrations.companies IS 'ids; empty: all'",
    "ALTER TABLE fulfilment.orders ADD COLUMN own_status_id BIGINT",
    """
    COMMENT ON COLUMN fulfilment.orders.own_status_id
        IS 'journal entry of the last status written by this project that the feed knows of'
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.get_bind().exec_driver_sql(statement)
