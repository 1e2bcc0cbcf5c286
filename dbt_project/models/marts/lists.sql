{{ config(materialized='view') }}

with integrations as (
    select * from {{ ref('stg_registry__integrations') }}
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
    coalesce(subscribers.subscribers, 0) as subscribers
from integrations
left join subscribers on integrations.integration = subscribers.integration
