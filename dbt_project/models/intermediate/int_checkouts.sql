with orders as (
    select * from {{ ref('int_orders') }}
    where {{ in_scope() }}
),

purchases as (
    select * from {{ ref('int_purchases') }}
    where {{ in_scope() }}
),

subscribers as (
    select integration, identity from {{ ref('int_subscribers') }}
    where {{ in_scope() }} and deleted_at is null
),

settings as (
    select * from {{ ref('int_shop_settings') }}
    where {{ in_scope() }}
),

checkouts as (
    select
        orders.integration,
        orders.order_id,
        orders.identity,
        orders.ordered_at,
        {{ in_last_days('orders.ordered_at', var('abandoned_days')) }} as is_in_window,
        {{ in_last_days('orders.ordered_at', var('metric_days')) }} as is_in_metric_window
    from orders
    inner join settings on orders.integration = settings.integration
    inner join subscribers
        on
            orders.integration = subscribers.integration
            and orders.identity = subscribers.identity
    where orders.is_incomplete and orders.ordered_at < settings.as_of
),

recovered as (
    select distinct
        checkouts.integration,
        checkouts.order_id
    from checkouts
    inner join purchases
        on
            checkouts.integration = purchases.integration
            and checkouts.identity = purchases.identity
    where
        purchases.ordered_at >= checkouts.ordered_at
        and purchases.ordered_at
        <= {{ hours_after('checkouts.ordered_at', var('checkout_recovery_hours')) }}
)

select
    checkouts.integration,
    checkouts.order_id,
    checkouts.identity,
    checkouts.ordered_at,
    checkouts.is_in_window,
    checkouts.is_in_metric_window,
    recovered.order_id is not null as is_recovered
from checkouts
left join recovered
    on
        checkouts.integration = recovered.integration
        and checkouts.order_id = recovered.order_id
