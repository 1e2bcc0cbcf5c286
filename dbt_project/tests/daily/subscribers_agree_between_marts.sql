-- A list has one size, and everyone's first day in it is in the calendar.
with counted as (
    select integration, count(*) as subscribers
    from {{ ref('subscribers') }}
    where deleted_at is null
    group by integration
),

facts as (
    select integration, count(*) as subscribers
    from {{ ref('customer_facts') }}
    group by integration
)

select metrics.integration, metrics.subscribers, counted.subscribers as counted
from {{ ref('list_metrics') }} as metrics
left join counted on metrics.integration = counted.integration
left join facts on metrics.integration = facts.integration
left join {{ ref('lists') }} as lists on metrics.integration = lists.integration
where
    {{ in_scope('metrics') }}
    and metrics.integration in {{ connected_integrations() }}
    and (
        metrics.subscribers != coalesce(counted.subscribers, 0)
        or metrics.subscribers != coalesce(facts.subscribers, 0)
        or metrics.subscribers != coalesce(lists.subscribers, -1)
    )
