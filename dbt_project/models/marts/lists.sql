{{ config(materialized='view') }}

with integrations as (
    select * from {{ ref('stg_registry__integrations') }}
),

running as (
    select
        integration,
        phase,
        rows_done,
        rows_total,
        (rows_done - phase_started_rows)
        / nullif(
            {{ seconds_between('phase_started_at', 'heartbeat_at') }}, 0
        ) as rows_per_second
    from {{ ref('stg_registry__sync_runs') }}
),

subscribers as (
    select
        integration,
        count(*) as subscribers
    from {{ ref('subscribers') }}
    where deleted_at is null
    group by integration
)

select
    integrations.integration,
    integrations.list_name,
    integrations.status,
    integrations.status_reason,
    integrations.last_synced_at,
    integrations.timezone,
    integrations.currency,
    coalesce(subscribers.subscribers, 0) as subscribers,
    running.phase,
    running.rows_done,
    running.rows_total,
    round(100.0 * running.rows_done / nullif(running.rows_total, 0), 1) as percent,
    round(running.rows_per_second, 1) as rows_per_second,
    cast(
        ceil((running.rows_total - running.rows_done) / nullif(running.rows_per_second, 0))
        as bigint
    ) as seconds_left
from integrations
left join subscribers on integrations.integration = subscribers.integration
left join running on integrations.integration = running.integration
