"""An integration that failed before it was disabled is failed again when it is enabled."""

from alembic import op

revision = "0007"
down_revision = "0012"

KEEP_RULES = """
    CREATE OR REPLACE FUNCTION registry.keep_rules() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        settings_before jsonb := to_jsonb(OLD) - registry.upkeep_columns();
        settings_after jsonb := to_jsonb(NEW) - registry.upkeep_columns();
    BEGIN
        IF NEW.integration <> OLD.integration OR NEW.list_name <> OLD.list_name
           OR registry.host_of(NEW.url) <> registry.host_of(OLD.url) THEN
            RAISE EXCEPTION 'the key, the list name and the host of an integration are fixed'
                USING ERRCODE = 'CS004';
        END IF;
        IF OLD.status = 'syncing' AND settings_before <> settings_after THEN
            RAISE EXCEPTION 'settings cannot be edited while it is syncing' USING ERRCODE = 'CS004';
        END IF;
        IF NEW.status <> OLD.status AND NOT (OLD.status || '>' || NEW.status) = ANY (ARRAY[
            'ready>syncing', 'enabled>syncing', 'failed>syncing',
            'syncing>enabled', 'syncing>failed', 'enabled>failed',
            'ready>disabled', 'enabled>disabled', 'failed>disabled',
            'disabled>ready', 'disabled>enabled', 'disabled>failed'
        ]) THEN
            RAISE EXCEPTION 'status %% cannot follow %%', NEW.status, OLD.status
                USING ERRCODE = 'CS004';
        END IF;
        IF OLD.status = 'disabled' AND NEW.status = 'failed' AND NEW.status_reason IS NULL THEN
            RAISE EXCEPTION 'an integration without a failure cannot be failed'
                USING ERRCODE = 'CS004';
        END IF;
        IF NEW.status = 'enabled' AND NEW.first_synced_at IS NULL THEN
            RAISE EXCEPTION 'an integration that was never synchronised cannot be enabled'
                USING ERRCODE = 'CS004';
        END IF;
        RETURN NEW;
    END $$
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(KEEP_RULES)
