with subscribers as (
    select * from {{ ref('int_subscribers') }}
    where {{ in_scope() }} and {{ of_changed_people() }} and deleted_at is null
),

purchases as (
    select * from {{ ref('int_purchases') }}
    where {{ in_scope() }} and {{ of_changed_people() }}
),

orders as (
    select * from {{ ref('int_orders') }}
    where
        {{ in_scope() }} and {{ of_changed_people() }}
        and (is_counted or is_incomplete) and identity is not null
),

settings as (
    select * from {{ ref('int_shop_settings') }}
    where {{ in_scope() }}
),

bought as (
    select
        purchases.integration,
        purchases.identity,
        count(*) as purchases,
        min(purchases.ordered_at) as first_purchase_at,
        min(case when purchases.purchase_number = 2 then purchases.ordered_at end)
            as second_purchase_at,
        max(purchases.ordered_at) as last_purchase_at,
        sum(purchases.total) as revenue,
        {{ sum_if('purchases.total', 'not purchases.is_refunded') }} as net_revenue,
        {{ count_if('purchases.is_discounted') }} as discounted_purchases,
        {{ count_if(in_last_days('purchases.ordered_at', var('recent_days'))) }} as purchases_30d,
        {{ count_if(in_last_days('purchases.ordered_at', var('recent_long_days'))) }}
            as purchases_90d,
        {{ count_if(in_last_days('purchases.ordered_at', var('frequent_days'))) }}
            as purchases_365d,
        {{ sum_if(
            'purchases.total', in_last_days('purchases.ordered_at', var('value_days'))
        ) }} as revenue_365d,
        max(
            case
                when {{ in_last_days('purchases.ordered_at', var('reactivated_days')) }}
                    then purchases.gap_days
            end
        ) as ended_gap_days
    from purchases
    inner join settings on purchases.integration = settings.integration
    group by purchases.integration, purchases.identity
),

ordered as (
    select
        orders.integration,
        orders.identity,
        {{ count_if('orders.is_counted') }} as orders,
        {{ sum_if('orders.total', 'orders.is_counted') }} as gross_total,
        {{ count_if('orders.is_cancelled') }} as cancelled_orders,
        {{ count_if('orders.is_failed_payment') }} as failed_payment_orders,
        {{ count_if('orders.is_refunded') }} as refunded_orders,
        {{ sum_if('orders.total', 'orders.is_refunded') }} as refunded_total,
        {{ count_if('orders.is_incomplete') }} as incomplete_orders,
        max(case when orders.is_incomplete then orders.ordered_at end) as last_incomplete_at
    from orders
    inner join settings on orders.integration = settings.integration
    where orders.ordered_at < settings.as_of
    group by orders.integration, orders.identity
)

select
    subscribers.integration,
    subscribers.identity,
    subscribers.registered_at,
    subscribers.subscribed_at,
    subscribers.email_subscribed as can_email,
    subscribers.mobile_subscribed as can_sms,
    subscribers.is_guest,
    subscribers.country,
    coalesce(bought.purchases, 0) as purchases,
    bought.first_purchase_at,
    bought.second_purchase_at,
    bought.last_purchase_at,
    coalesce(bought.purchases_30d, 0) as purchases_30d,
    coalesce(bought.purchases_90d, 0) as purchases_90d,
    coalesce(bought.purchases_365d, 0) as purchases_365d,
    coalesce(bought.revenue, 0) as revenue,
    coalesce(bought.net_revenue, 0) as net_revenue,
    coalesce(bought.revenue_365d, 0) as revenue_365d,
    {{ ratio('bought.revenue', 'bought.purchases') }} as average_order_value,
    {{ ratio(
        days_between('bought.first_purchase_at', 'bought.last_purchase_at', 'settings.timezone'), 'bought.purchases - 1'
    ) }} as mean_days_between_purchases,
    bought.ended_gap_days,
    coalesce(ordered.orders, 0) as orders,
    coalesce(ordered.gross_total, 0) as gross_total,
    coalesce(ordered.cancelled_orders, 0) as cancelled_orders,
    coalesce(ordered.failed_payment_orders, 0) as failed_payment_orders,
    coalesce(ordered.refunded_orders, 0) as refunded_orders,
    coalesce(ordered.refunded_total, 0) as refunded_total,
    coalesce(bought.discounted_purchases, 0) as discounted_purchases,
    coalesce(ordered.incomplete_orders, 0) as incomplete_orders,
    ordered.last_incomplete_at
from subscribers
inner join settings on subscribers.integration = settings.integration
left join bought
    on
        subscribers.integration = bought.integration
        and subscribers.identity = bought.identity
left join ordered
    on
        subscribers.integration = ordered.integration
        and subscribers.identity = ordered.identity
