with settings as (
    select * from {{ ref('int_shop_settings') }}
    where {{ in_scope() }}
),

sites as (
    select * from {{ ref('stg_onsite__sites') }}
    where {{ in_scope() }}
),

built as (
    select
        last_built.integration,
        last_built.list_since,
        last_built.day
    from {{ last_built_days() }} as last_built
),

resolved as (
    select
        settings.integration,
        settings.timezone,
        settings.list_since,
        settings.as_of,
        {{ local_date('settings.as_of', 'settings.timezone') }} as today,
        coalesce(sites.retention_days, {{ var('onsite_retention_days') }}) as retention_days,
        built.day as built_day
    from settings
    left join sites on settings.integration = sites.integration
    left join built
        on
            settings.integration = built.integration
            and settings.list_since = built.list_since
),

windows as (
    select
        resolved.*,
        case
            when built_day is null then cast('1970-01-01' as date)
            else least(
                -- Only days of which all events are still there: they go by the day in UTC.
                {{ day_plus(
                    'today',
                    '- least(' ~ var('onsite_days') ~ ', greatest(retention_days - 2, 0))'
                ) }},
                -- Whatever happened since the last build, if that was long ago.
                built_day
            )
        end as first_day
    from resolved
)

select
    integration,
    timezone,
    list_since,
    as_of,
    first_day,
    -- A day earlier, for sessions that are under way when the first day begins.
    {{ start_of_day(
        'least('
        ~ day_plus('first_day', -1) ~ ', '
        ~ day_plus('today', '-' ~ [var('viewed_days') | int, var('cart_left_days') | int] | max)
        ~ ')'
    ) }} as read_since,
    {{ day_plus('today', '- retention_days') }} as first_kept_day
from windows
