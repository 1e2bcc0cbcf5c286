with settings as (
    select integration, timezone from {{ ref('int_shop_settings') }}
    where {{ in_scope() }}
),

-- Everyone is in at most one group of each kind at a time.
groups as (
    select segment, part_of from {{ ref('segment_catalogue') }}
    where part_of in ('rfm', 'lifecycle')
),

changes as (
    select
        log.integration,
        log.segment,
        log.identity,
        log.changed_at,
        log.change,
        groups.part_of,
        {{ month_of(local_date('log.changed_at', 'settings.timezone')) }} as month
    from {{ ref('segment_changes') }} as log
    inner join settings on log.integration = settings.integration
    inner join groups on log.segment = groups.segment
    where {{ in_scope('log') }}
),

of_months as (
    select
        integration,
        part_of,
        month,
        identity,
        segment,
        min(case when change = 'left' then changed_at end) as first_left_at,
        max(case when change = 'left' then changed_at end) as last_left_at,
        min(case when change = 'entered' then changed_at end) as first_entered_at,
        max(case when change = 'entered' then changed_at end) as last_entered_at
    from changes
    group by integration, part_of, month, identity, segment
),

-- The group that a person was in when the month began is left before it is entered; that at its end
-- is entered last.
moves as (
    select
        integration,
        part_of,
        month,
        identity,
        max(
            case
                when first_left_at < coalesce(first_entered_at, 'infinity') then segment
            end
        ) as from_group,
        max(
            case
                when last_entered_at > coalesce(last_left_at, '-infinity') then segment
            end
        ) as to_group
    from of_months
    group by integration, part_of, month, identity
)

select
    integration,
    part_of,
    month,
    from_group,
    to_group,
    count(*) as people
from moves
where from_group is distinct from to_group
group by integration, part_of, month, from_group, to_group
