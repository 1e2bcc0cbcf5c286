-- The sizes are those of the members, and every member is in the list.
with counted as (
    select integration, segment, count(distinct identity) as members
    from {{ ref('segment_members') }}
    group by integration, segment
),

strangers as (
    select members.integration, members.segment, members.identity
    from {{ ref('segment_members') }} as members
    left join {{ ref('customer_facts') }} as facts
        on members.integration = facts.integration and members.identity = facts.identity
    where facts.identity is null
)

select coalesce(segments.integration, counted.integration) as integration, counted.segment
from {{ ref('segments') }} as segments
full outer join counted
    on segments.integration = counted.integration and segments.segment = counted.segment
where
    coalesce(segments.members, -1) != coalesce(counted.members, 0)
    and coalesce(segments.integration, counted.integration) in {{ connected_integrations() }}
union all
select integration, segment from strangers
where integration in {{ connected_integrations() }}
