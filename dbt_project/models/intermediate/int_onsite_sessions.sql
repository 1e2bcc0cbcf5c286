with settings as (
    select * from {{ ref('int_onsite_settings') }}
    where {{ in_scope() }}
),

events as (
    select * from {{ ref('int_onsite_events') }}
    where {{ in_scope() }}
),

purchases as (
    select
        integration,
        visitor_id,
        session_number,
        count(distinct event_id) as purchases,
        count(distinct case when is_purchase then order_id end) as settled_orders,
        sum(revenue) as revenue
    from {{ ref('int_onsite_purchases') }}
    where {{ in_scope() }}
    group by integration, visitor_id, session_number
),

-- Most visitors are anonymous: only the others are sorted.
known as (
    select
        integration,
        visitor_id,
        session_number,
        {{ latest('identity', 'occurred_at desc, event_id desc, stamped_on desc') }} as identity
    from events
    where identity is not null
    group by integration, visitor_id, session_number
),

sessions as (
    select
        integration,
        visitor_id,
        session_number,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        min(day) as day,
        count(*) as events,
        {{ count_if("name = 'page_view'") }} as page_views,
        {{ count_if("name = 'view_item'") }} as product_views,
        {{ count_if("name = 'search'") }} as searches,
        {{ count_if("name = 'add_to_cart'") }} as adds_to_cart,
        {{ count_if("name = 'begin_checkout'") }} as checkouts,
        max(landing_page) as landing_page,
        max(referrer) as referrer,
        max(device) as device
    from events
    group by integration, visitor_id, session_number
)

select
    sessions.integration,
    sessions.visitor_id,
    sessions.started_at,
    sessions.ended_at,
    sessions.day,
    known.identity,
    sessions.events,
    sessions.page_views,
    sessions.product_views,
    sessions.searches,
    sessions.adds_to_cart,
    sessions.checkouts,
    coalesce(purchases.purchases, 0) as purchases,
    coalesce(purchases.settled_orders, 0) as settled_orders,
    coalesce(purchases.revenue, 0) as revenue,
    sessions.landing_page,
    sessions.referrer,
    sessions.device,
    settings.list_since
from sessions
inner join settings on sessions.integration = settings.integration
left join known
    on
        sessions.integration = known.integration
        and sessions.visitor_id = known.visitor_id
        and sessions.session_number = known.session_number
left join purchases
    on
        sessions.integration = purchases.integration
        and sessions.visitor_id = purchases.visitor_id
        and sessions.session_number = purchases.session_number
-- What began before that may have begun earlier than was read, and was built when it was young.
where sessions.day >= settings.first_day
