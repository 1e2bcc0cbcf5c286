-- The first analytics.lists, so that a list exists from the moment its integration is saved; dbt
-- replaces it with its own.

CREATE VIEW analytics.lists AS
SELECT integration, list_name, status, status_reason, last_synced_at, timezone, currency,
       0::bigint AS subscribers, run.phase, run.rows_done, run.rows_total,
       round(100.0 * run.rows_done / nullif(run.rows_total, 0), 1) AS percent,
       round(speed.per_second, 1) AS rows_per_second,
       ceil((run.rows_total - run.rows_done) / nullif(speed.per_second, 0))::bigint
           AS seconds_left
FROM registry.integrations
LEFT JOIN (SELECT * FROM registry.sync_runs WHERE state = 'running') AS run
    USING (integration)
CROSS JOIN LATERAL (
    SELECT (run.rows_done - run.phase_started_rows)
        / nullif(extract(epoch FROM run.heartbeat_at - run.phase_started_at), 0) AS per_second
) AS speed;
