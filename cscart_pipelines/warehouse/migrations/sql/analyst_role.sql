-- The role of the analysts, who read the schema analytics.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') THEN
        CREATE ROLE analyst LOGIN;
    END IF;
EXCEPTION
    -- Another database of this server was faster, or this account may not make roles: then the
    -- owner of the server makes it, and dbt grants to it from the next build on.
    WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN NULL;
END $$;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') THEN
        GRANT USAGE ON SCHEMA analytics TO analyst;
        ALTER DEFAULT PRIVILEGES IN SCHEMA analytics GRANT SELECT ON TABLES TO analyst;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN NULL;
END $$;
