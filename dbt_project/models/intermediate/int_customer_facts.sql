{{ config(indexes=[{'columns': ['integration', 'identity'], 'unique': true}]) }}

with subscribers as (
    select * from {{ ref('int_subscribers') }}
    where deleted_at is null
),

purchases as (
    select * from {{ ref('int_purchases') }}
),

orders as (
    select * from {{ ref('int_orders') }}
    where (is_counted or is_incomplete) and identity is not null
),

gaps as (
    select * from {{ ref('int_purchase_gaps') }}
),

settings as (
    select * from {{ ref('int_shop_settings') }}
),

bought as (
    select
        purchases.integration,
        purchases.identity,
        count(*) as n,
        min(purchases.ordered_at) as first_at,
        min(case when purchases.purchase_number = 2 then purchases.ordered_at end) as second_at,
        max(purchases.ordered_at) as last_at,
        sum(purchases.total) as revenue,
        {{ sum_if('purchases.total', 'not purchases.is_refunded') }} as rev_net,
        {{ count_if('purchases.is_discounted') }} as n_discounted,
        {{ count_if(in_last_days('purchases.ordered_at', var('recent_days'))) }} as n_30,
        {{ count_if(in_last_days('purchases.ordered_at', var('recent_long_days'))) }} as n_90,
        {{ count_if(in_last_days('purchases.ordered_at', var('frequent_days'))) }} as n_365,
        {{ sum_if(
            'purchases.total', in_last_days('purchases.ordered_at', var('value_days'))
        ) }} as rev_365,
        max(
            case
                when {{ in_last_days('purchases.ordered_at', var('reactivated_days')) }}
                    then purchases.gap_days
            end
        ) as gap_ended
    from purchases
    inner join settings on purchases.integration = settings.integration
    group by purchases.integration, purchases.identity
),

ordered as (
    select
        orders.integration,
        orders.identity,
        {{ count_if('orders.is_counted') }} as n_all,
        {{ sum_if('orders.total', 'orders.is_counted') }} as gross_total,
        {{ count_if('orders.is_cancelled') }} as n_cancelled,
        {{ count_if('orders.is_failed_payment') }} as n_failed_payment,
        {{ count_if('orders.is_refunded') }} as refunded,
        {{ sum_if('orders.total', 'orders.is_refunded') }} as refunded_total,
        {{ count_if('orders.is_incomplete') }} as n_incomplete,
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
    subscribers.email_subscribed as email_ok,
    subscribers.mobile_subscribed as mobile_ok,
    subscribers.is_guest,
    subscribers.country,
    coalesce(bought.n, 0) as n,
    bought.first_at,
    bought.second_at,
    bought.last_at,
    coalesce(bought.n_30, 0) as n_30,
    coalesce(bought.n_90, 0) as n_90,
    coalesce(bought.n_365, 0) as n_365,
    coalesce(bought.revenue, 0) as revenue,
    coalesce(bought.rev_net, 0) as rev_net,
    coalesce(bought.rev_365, 0) as rev_365,
    {{ ratio('bought.revenue', 'bought.n') }} as aov,
    {{ days_between('bought.last_at', 'settings.as_of', 'settings.timezone') }} as dsl,
    {{ ratio(
        days_between('bought.first_at', 'bought.last_at', 'settings.timezone'), 'bought.n - 1'
    ) }} as gap_avg,
    gaps.gap_median as gap_store,
    bought.gap_ended,
    coalesce(ordered.n_all, 0) as n_all,
    coalesce(ordered.gross_total, 0) as gross_total,
    coalesce(ordered.n_cancelled, 0) as n_cancelled,
    coalesce(ordered.n_failed_payment, 0) as n_failed_payment,
    coalesce(ordered.refunded, 0) as refunded,
    coalesce(ordered.refunded_total, 0) as refunded_total,
    coalesce(bought.n_discounted, 0) as n_discounted,
    coalesce(ordered.n_incomplete, 0) as n_incomplete,
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
left join gaps on subscribers.integration = gaps.integration
