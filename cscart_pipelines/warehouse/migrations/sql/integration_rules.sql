-- Rules of registry.integrations that hold for every writer: fixed fields, no edits during a sync,
-- the state machine (docs/architecture.md), and the audit trail.
-- SQLSTATE CS004 is read by integrations.service and becomes the contract's exit code 4.

CREATE FUNCTION registry.status_columns() RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY['status', 'status_reason', 'status_since', 'attempts', 'failure_permanent',
                 'capabilities', 'tested_fingerprint', 'tested_at', 'first_synced_at',
                 'last_synced_at', 'created_at', 'updated_at']
$$;

CREATE FUNCTION registry.host_of(url text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT lower(coalesce(substring(url FROM '://(\[[^]]*\]|[^/:]+)'), ''))
$$;

CREATE FUNCTION registry.enforce_lifecycle() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    settings_before jsonb := to_jsonb(OLD) - registry.status_columns();
    settings_after jsonb := to_jsonb(NEW) - registry.status_columns();
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
        RAISE EXCEPTION 'status % cannot follow %', NEW.status, OLD.status
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
END $$;

CREATE TRIGGER enforce_lifecycle BEFORE UPDATE ON registry.integrations
    FOR EACH ROW EXECUTE FUNCTION registry.enforce_lifecycle();

CREATE FUNCTION registry.refuse_removal_while_syncing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status = 'syncing' THEN
        RAISE EXCEPTION 'it cannot be removed while it is syncing' USING ERRCODE = 'CS004';
    END IF;
    RETURN OLD;
END $$;

CREATE TRIGGER refuse_removal_while_syncing BEFORE DELETE ON registry.integrations
    FOR EACH ROW EXECUTE FUNCTION registry.refuse_removal_while_syncing();

-- The sealed key is never part of the trail, only that it changed.
CREATE FUNCTION registry.write_audit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before jsonb := CASE WHEN TG_OP = 'INSERT' THEN '{}' ELSE to_jsonb(OLD) END;
    after jsonb := CASE WHEN TG_OP = 'DELETE' THEN '{}' ELSE to_jsonb(NEW) END;
    quiet text[] := ARRAY['updated_at', 'status_since', 'tested_at', 'last_synced_at',
                          'capabilities', 'tested_fingerprint', 'api_key_hash', 'created_at'];
    changed jsonb;
BEGIN
    SELECT coalesce(jsonb_object_agg(key, CASE
               WHEN key = 'api_key_sealed' THEN to_jsonb('changed'::text)
               WHEN TG_OP = 'INSERT' THEN after -> key
               ELSE jsonb_build_array(before -> key, after -> key) END), '{}')
    INTO changed
    FROM (SELECT jsonb_object_keys(before || after) AS key) AS keys
    WHERE NOT key = ANY (quiet) AND before -> key IS DISTINCT FROM after -> key
      AND NOT (TG_OP = 'INSERT' AND coalesce(after -> key, 'null') = 'null');
    IF TG_OP = 'DELETE' THEN changed := jsonb_build_object('url', OLD.url); END IF;
    IF TG_OP <> 'UPDATE' OR changed <> '{}' THEN
        INSERT INTO registry.audit (integration, actor, act, detail)
        VALUES (coalesce(NEW.integration, OLD.integration),
                coalesce(nullif(current_setting('application_name', true), ''), session_user),
                CASE TG_OP WHEN 'INSERT' THEN 'added' WHEN 'DELETE' THEN 'removed'
                     ELSE CASE WHEN changed ? 'status'
                               THEN 'status ' || NEW.status ELSE 'edited' END END,
                changed);
    END IF;
    RETURN coalesce(NEW, OLD);
END $$;

CREATE TRIGGER write_audit AFTER INSERT OR UPDATE OR DELETE ON registry.integrations
    FOR EACH ROW EXECUTE FUNCTION registry.write_audit();
