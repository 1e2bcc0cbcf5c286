{{ config(
    indexes=[{'columns': ['integration', 'identity', 'segment', 'changed_at']}],
) }}

with memberships as (
    select * from {{ ref('int_segment_membership') }}
    where {{ in_scope() }} and {{ of_changed_people() }}
),

settings as (
    select integration, as_of, list_since from {{ ref('int_shop_settings') }}
    where {{ in_scope() }}
),

-- The log itself says what was true before, so that a build that broke off cannot mislead it.
numbered_changes as (
    select
        integration,
        segment,
        identity,
        category,
        changed_at,
        change,
        row_number() over (
            partition by integration, segment, identity, coalesce(category, '')
            order by changed_at desc
        ) as place
    from {{ this }}
    where {{ in_scope() }} and {{ of_changed_people() }}
),

last_changes as (
    select * from numbered_changes
    where place = 1
),

compared as (
    select
        coalesce(memberships.integration, last_changes.integration) as integration,
        coalesce(memberships.segment, last_changes.segment) as segment,
        coalesce(memberships.identity, last_changes.identity) as identity,
        coalesce(memberships.category, last_changes.category) as category,
        memberships.reason,
        last_changes.changed_at as last_changed_at,
        memberships.identity is not null as is_member,
        coalesce(last_changes.change = 'entered', false) as was_member
    from memberships
    full outer join last_changes
        on
            memberships.integration = last_changes.integration
            and memberships.segment = last_changes.segment
            and memberships.identity = last_changes.identity
            and coalesce(memberships.category, '') = coalesce(last_changes.category, '')
)

select
    compared.integration,
    compared.segment,
    compared.identity,
    compared.category,
    -- Later than the entry before it, also when two builds look at the same moment.
    greatest(
        settings.as_of, {{ next_moment('compared.last_changed_at') }}
    ) as changed_at,
    case when compared.is_member then 'entered' else 'left' end as change,
    compared.reason,
    settings.list_since
from compared
inner join settings on compared.integration = settings.integration
where compared.is_member != compared.was_member
