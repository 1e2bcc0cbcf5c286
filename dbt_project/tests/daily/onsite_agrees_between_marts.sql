-- Every session is counted on its day, and on no other; of older days the sessions may be gone.
with counted as (
    select
        integration,
        day,
        count(*) as sessions,
        sum(page_views) as page_views,
        sum(purchases) as purchases,
        sum(revenue) as revenue
    from {{ ref('onsite_sessions') }}
    where {{ in_scope() }} and integration in {{ connected_integrations() }}
    group by integration, day
),

settings as (
    select * from {{ ref('int_onsite_settings') }}
    where {{ in_scope() }}
)

select coalesce(daily.integration, counted.integration) as integration, counted.day
from {{ ref('onsite_daily') }} as daily
inner join settings
    on daily.integration = settings.integration and daily.day >= settings.first_kept_day
full outer join counted
    on daily.integration = counted.integration and daily.day = counted.day
where
    coalesce(daily.sessions, -1) != coalesce(counted.sessions, 0)
    or daily.page_views != coalesce(counted.page_views, 0)
    or daily.purchases != coalesce(counted.purchases, 0)
    or daily.revenue != coalesce(counted.revenue, 0)
