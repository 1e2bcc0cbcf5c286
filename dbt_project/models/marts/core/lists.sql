{{ config(materialized='view_in_place') }}

with integrations as (
    select * from {{ ref('stg_registry__integrations') }}
),

-- Their settings are deleted, the data of the last build is still there.
removed as (
    select
        metrics.integration,
        metrics.currency,
        metrics.as_of
    from {{ ref('list_metrics') }} as metrics
    left join integrations on metrics.integration = integrations.integration
    where integrations.integration is null
),

known as (
    select
        integration,
        list_name,
        status,
        status_reason,
        last_synced_at,
        timezone,
        currency
    from integrations
    union all
    select
        integration,
        integration as list_name,
        'removed' as status,
        'removed; the data is that of the last build, as of '
        || {{ show_day('as_of', "'UTC'") }} as status_reason,
        cast(null as timestamp with time zone) as last_synced_at,
        cast(null as text) as timezone,
        currency
    from removed
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
    known.integration,
    known.list_name,
    known.status,
    known.status_reason,
    known.last_synced_at,
    known.timezone,
    known.currency,
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
from known
left join subscribers on known.integration = subscribers.integration
left join running on known.integration = running.integration
