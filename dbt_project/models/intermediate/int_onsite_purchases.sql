with told as (
    select
        events.*,
        row_number() over (
            partition by integration, order_id
            order by occurred_at asc, event_id asc, stamped_on asc
        ) as times_told
    from {{ ref('int_onsite_events') }} as events
    where {{ in_scope('events') }} and events.name = 'purchase'
),

orders as (
    select * from {{ ref('int_orders') }}
    where {{ in_scope() }} and not is_parent_order
),

-- The completion page of a Multi-Vendor shop names the parent; its children carry the money.
placed as (
    select
        integration,
        order_id as told_order_id,
        order_id,
        is_counted,
        is_purchase,
        is_cancelled,
        is_failed_payment,
        total
    from orders
    union all
    select
        integration,
        parent_order_id as told_order_id,
        order_id,
        is_counted,
        is_purchase,
        is_cancelled,
        is_failed_payment,
        total
    from orders
    where parent_order_id is not null and parent_order_id != order_id
)

select
    told.integration,
    told.event_id,
    told.stamped_on,
    told.occurred_at,
    told.day,
    told.visitor_id,
    told.session_number,
    told.identity,
    told.items,
    told.order_id as told_order_id,
    placed.order_id,
    coalesce(placed.is_purchase, false) as is_purchase,
    placed.order_id is null
    or (placed.is_counted and not placed.is_cancelled and not placed.is_failed_payment) as stands,
    case when placed.is_purchase then placed.total else 0 end as revenue
from told
left join placed
    on
        told.integration = placed.integration
        and told.order_id = placed.told_order_id
where told.times_told = 1 or told.order_id is null
