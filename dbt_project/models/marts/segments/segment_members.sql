with memberships as (
    select * from {{ ref('int_segment_membership') }}
    where {{ in_scope() }} and {{ of_changed_people() }}
),

entries as (
    select
        integration,
        segment,
        identity,
        category,
        max(changed_at) as member_since
    from {{ ref('segment_changes') }}
    where {{ in_scope() }} and {{ of_changed_people() }} and change = 'entered'
    group by integration, segment, identity, category
)

select
    memberships.integration,
    memberships.segment,
    memberships.identity,
    memberships.category,
    entries.member_since,
    memberships.reason
from memberships
inner join entries
    on
        memberships.integration = entries.integration
        and memberships.segment = entries.segment
        and memberships.identity = entries.identity
        and coalesce(memberships.category, '') = coalesce(entries.category, '')
