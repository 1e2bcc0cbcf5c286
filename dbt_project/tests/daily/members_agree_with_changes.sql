-- A person who entered and did not leave is a member, and no other is.
with members as (
    select * from {{ ref('segment_members') }}
    where {{ in_scope() }}
),

last_changes as (
    select
        log.*,
        row_number() over (
            partition by integration, segment, identity, coalesce(category, '')
            order by changed_at desc
        ) as place
    from {{ ref('segment_changes') }} as log
    where {{ in_scope('log') }}
),

inside as (
    select * from last_changes
    where place = 1 and change = 'entered'
)

select coalesce(members.identity, inside.identity) as identity, members.segment
from members
full outer join inside
    on
        members.integration = inside.integration
        and members.segment = inside.segment
        and members.identity = inside.identity
        and coalesce(members.category, '') = coalesce(inside.category, '')
where
    coalesce(members.integration, inside.integration) in {{ connected_integrations() }}
    and (
        members.identity is null
        or inside.identity is null
        or members.member_since != inside.changed_at
    )
