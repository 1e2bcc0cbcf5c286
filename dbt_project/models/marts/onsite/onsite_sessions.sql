{{ config(
    indexes=[{'columns': ['integration', 'day']}, {'columns': ['integration', 'identity']}],
) }}

with sessions as (
    select * from {{ ref('int_onsite_sessions') }}
    where {{ in_scope() }}
),

settings as (
    select * from {{ ref('int_onsite_settings') }}
    where {{ in_scope() }}
)

select
    sessions.integration,
    sessions.visitor_id,
    sessions.started_at,
    sessions.ended_at,
    sessions.day,
    sessions.identity,
    sessions.events,
    sessions.page_views,
    sessions.product_views,
    sessions.searches,
    sessions.adds_to_cart,
    sessions.checkouts,
    sessions.purchases,
    sessions.settled_orders,
    sessions.revenue,
    sessions.landing_page,
    sessions.referrer,
    sessions.device,
    sessions.list_since
from sessions
inner join settings on sessions.integration = settings.integration
-- The days before are dropped from what is there: see and_not_kept.
where sessions.day >= settings.first_kept_day
