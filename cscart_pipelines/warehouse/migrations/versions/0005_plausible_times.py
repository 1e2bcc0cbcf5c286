"""Times in the inboxes are times: not infinite, not before 2000, not days ahead.

Anybody may insert there. A shipment of the year `infinity` cannot be read by Python and stopped
every push of its integration; a level counted in 2099 made every later count an old one. The
database refuses such rows to whoever inserts them, as it does with an order number of NULL.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

STATEMENTS = (
    """
    UPDATE fulfilment.shipments SET received_at = now()
    WHERE received_at NOT BETWEEN '2000-01-01 00:00+00' AND now() + interval '2 days'
    """,
    """
    UPDATE fulfilment.shipments SET shipped_at = NULL
    WHERE shipped_at NOT BETWEEN '2000-01-01 00:00+00' AND now() + interval '2 days'
    """,
    # A changed as_of would make the level wait again.
    "ALTER TABLE fulfilment.stock_levels DISABLE TRIGGER wait_again",
    """
    UPDATE fulfilment.stock_levels SET received_at = now()
    WHERE received_at NOT BETWEEN '2000-01-01 00:00+00' AND now() + interval '2 days'
    """,
    """
    UPDATE fulfilment.stock_levels SET as_of = received_at
    WHERE as_of NOT BETWEEN '2000-01-01 00:00+00' AND now() + interval '2 days'
    """,
    "ALTER TABLE fulfilment.stock_levels ENABLE TRIGGER wait_again",
    # Two days: files are refused at one, and no clock is that wrong.
    """
    ALTER TABLE fulfilment.shipments
        ADD CONSTRAINT received_at_is_plausible CHECK
            (received_at BETWEEN '2000-01-01 00:00+00' AND now() + interval '2 days'),
        ADD CONSTRAINT shipped_at_is_plausible CHECK
            (shipped_at BETWEEN '2000-01-01 00:00+00' AND now() + interval '2 days')
    """,
    """
    ALTER TABLE fulfilment.stock_levels
        ADD CONSTRAINT received_at_is_plausible CHECK
            (received_at BETWEEN '2000-01-01 00:00+00' AND now() + interval '2 days'),
        ADD CONSTRAINT as_of_is_plausible CHECK
            (as_of BETWEEN '2000-01-01 00:00+00' AND now() + interval '2 days')
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.get_bind().exec_driver_sql(statement)
