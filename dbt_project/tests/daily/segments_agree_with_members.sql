-- The sizes are those of the members, and every member is in the list.
with sizes as (
    select * from {{ ref('segments') }}
    where {{ in_scope() }}
),

counted as (
    select integration, segment, count(distinct identity) as members
    from {{ ref('segment_members') }}
    where {{ in_scope() }}
    group by integration, segment
),

strangers as (
    select members.integration, members.segment, members.identity
    from {{ ref('segment_members') }} as members
    left join {{ ref('customer_facts') }} as facts
        on members.integration = facts.integration and members.identity = facts.identity
    where {{ in_scope('members') }} and facts.identity is null
)

select coalesce(sizes.integration, counted.integration) as integration, counted.segment
from sizes
full outer join counted
    on sizes.integration = counted.integration and sizes.segment = counted.segment
where
    coalesce(sizes.members, -1) != coalesce(counted.members, 0)
    and coalesce(sizes.integration, counted.integration) in {{ connected_integrations() }}
union all
select integration, segment from strangers
where integration in {{ connected_integrations() }}
