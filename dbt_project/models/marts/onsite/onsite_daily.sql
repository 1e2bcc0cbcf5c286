{% set last_day = local_date(last_moment_before('settings.as_of'), 'settings.timezone') %}

with settings as (
    select * from {{ ref('int_onsite_settings') }}
    where {{ in_scope() }}
),

sessions as (
    select * from {{ ref('int_onsite_sessions') }}
    where {{ in_scope() }}
),

counted as (
    select
        integration,
        day,
        count(*) as sessions,
        count(distinct visitor_id) as visitors,
        count(distinct identity) as known_people,
        sum(page_views) as page_views,
        sum(product_views) as product_views,
        sum(adds_to_cart) as adds_to_cart,
        sum(checkouts) as checkouts,
        sum(purchases) as purchases,
        sum(revenue) as revenue,
        {{ count_if('purchases >= 1') }} as converted
    from sessions
    group by integration, day
),

-- Goes on where the days that stay end, though there may have been no visitors.
first_days as (
    select
        integration,
        min(day) as first_day
    from (
        select integration, day from counted
        union all
        select kept.integration, settings.first_day as day
        from {{ this }} as kept
        inner join settings
            on kept.integration = settings.integration and kept.list_since = settings.list_since
        where {{ in_scope('kept') }} and kept.day < settings.first_day
    ) as days
    group by integration
),

calendar as (
    select
        settings.integration,
        settings.list_since,
        spine.day
    from settings
    inner join first_days on settings.integration = first_days.integration
    cross join
        lateral {{ each_day('first_days.first_day', last_day) }} as spine
)

select
    calendar.integration,
    calendar.day,
    coalesce(counted.sessions, 0) as sessions,
    coalesce(counted.visitors, 0) as visitors,
    coalesce(counted.known_people, 0) as known_people,
    cast(coalesce(counted.page_views, 0) as bigint) as page_views,
    cast(coalesce(counted.product_views, 0) as bigint) as product_views,
    cast(coalesce(counted.adds_to_cart, 0) as bigint) as adds_to_cart,
    cast(coalesce(counted.checkouts, 0) as bigint) as checkouts,
    cast(coalesce(counted.purchases, 0) as bigint) as purchases,
    coalesce(counted.revenue, 0) as revenue,
    {{ ratio('counted.converted', 'counted.sessions') }} as conversion,
    calendar.list_since
from calendar
left join counted
    on
        calendar.integration = counted.integration
        and calendar.day = counted.day
