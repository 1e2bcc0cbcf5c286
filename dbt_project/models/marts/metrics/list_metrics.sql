with settings as (
    select * from {{ ref('int_shop_settings') }}
    where {{ in_scope() }}
),

facts as (
    select * from {{ ref('int_customer_facts') }}
    where {{ in_scope() }}
),

purchases as (
    select * from {{ ref('int_purchases') }}
    where {{ in_scope() }}
),

gaps as (
    select * from {{ ref('int_purchase_gaps') }}
    where {{ in_scope() }}
),

checkouts as (
    select * from {{ ref('int_checkouts') }}
    where {{ in_scope() }}
),

fulfilment as (
    select * from {{ ref('int_fulfilment_metrics') }}
),

people as (
    select
        facts.*,
        settings.as_of,
        settings.timezone,
        -- Years as in the published metric; a lifespan starts with the second purchase.
        case
            when facts.purchases >= 2
                then
                    {{ days_between(
                        'facts.first_purchase_at', 'facts.last_purchase_at', 'settings.timezone'
                    ) }}
                    / 365.25
            else 0
        end as lifespan_years
    from facts
    inner join settings on facts.integration = settings.integration
),

of_people as (
    select
        integration,
        count(*) as subscribers,
        {{ count_if('can_email') }} as contactable_email,
        {{ count_if('can_sms') }} as contactable_mobile,
        {{ count_if('can_email and can_sms') }} as contactable_both,
        {{ count_if('not can_email and not can_sms') }} as contactable_none,
        {{ count_if('purchases >= 1') }} as buyers,
        {{ count_if('purchases >= 2') }} as repeat_buyers,
        {{ count_if(in_last_days('first_purchase_at', var('metric_days'))) }} as new_buyers_30d,
        {{ count_if(
            in_last_days('last_purchase_at', var('metric_days'))
            ~ ' and not ' ~ in_last_days('first_purchase_at', var('metric_days'))
        ) }} as returning_buyers_30d,
        avg(lifespan_years) as customer_lifespan_years,
        avg(case when purchases >= 1 then lifespan_years end) as customer_lifespan_years_buyers,
        sum(purchases) as purchases,
        sum(orders) as orders,
        sum(gross_total) as gross_total,
        sum(revenue) as settled_total,
        sum(refunded_total) as refunded_total,
        sum(net_revenue) as net_revenue,
        sum(cancelled_orders) as cancelled_orders,
        sum(refunded_orders) as refunded_orders,
        {% for days in [30, 60, 90] %}
        {{ count_if(days_after('first_purchase_at', days) ~ ' <= as_of') }} as ripe_{{ days }}d,
        {{ count_if(
            days_after('first_purchase_at', days) ~ ' <= as_of and second_purchase_at <= '
            ~ days_after('first_purchase_at', days)
        ) }} as second_{{ days }}d,
        {% endfor %}
        sum(failed_payment_orders) as failed_payment_orders
    from people
    group by integration
),

of_purchases as (
    select
        purchases.integration,
        {{ count_if(in_last_days('purchases.ordered_at', var('metric_days'))) }} as orders_30d,
        {{ sum_if(
            'purchases.total', in_last_days('purchases.ordered_at', var('metric_days'))
        ) }} as order_value_30d,
        count(
            distinct case
                when {{ in_last_days('purchases.ordered_at', var('metric_days')) }}
                    then purchases.identity
            end
        ) as buyers_30d,
        {{ count_if(
            in_last_days('purchases.ordered_at', var('average_order_value_days'))
        ) }} as orders_year,
        {{ sum_if(
            'purchases.total',
            in_last_days('purchases.ordered_at', var('average_order_value_days'))
        ) }} as order_value_year
    from purchases
    inner join settings on purchases.integration = settings.integration
    where {{ in_last_days(
        'purchases.ordered_at', [var('metric_days'), var('average_order_value_days')] | max
    ) }}
    group by purchases.integration
),

of_checkouts as (
    select
        integration,
        count(*) as abandoned_checkouts_30d,
        {{ count_if('is_recovered') }} as recovered_checkouts_30d
    from checkouts
    where is_in_metric_window
    group by integration
)

select
    settings.integration,
    settings.as_of,
    settings.currency,
    coalesce(of_purchases.orders_30d, 0) as orders_30d,
    coalesce(of_purchases.order_value_30d, 0) as order_value_30d,
    {{ ratio('of_purchases.order_value_year', 'of_purchases.orders_year') }}
        as average_order_value,
    {{ ratio('of_purchases.orders_30d', 'of_purchases.buyers_30d') }} as order_frequency_30d,
    of_people.customer_lifespan_years,
    of_people.customer_lifespan_years_buyers,
    coalesce(of_people.subscribers, 0) as subscribers,
    coalesce(of_people.contactable_email, 0) as contactable_email,
    coalesce(of_people.contactable_mobile, 0) as contactable_mobile,
    coalesce(of_people.contactable_both, 0) as contactable_both,
    coalesce(of_people.contactable_none, 0) as contactable_none,
    coalesce(of_people.buyers, 0) as buyers,
    coalesce(of_people.new_buyers_30d, 0) as new_buyers_30d,
    coalesce(of_people.returning_buyers_30d, 0) as returning_buyers_30d,
    cast(coalesce(of_people.purchases, 0) as bigint) as purchases,
    coalesce(of_people.gross_total, 0) as gross_total,
    coalesce(of_people.settled_total, 0) as settled_total,
    coalesce(of_people.refunded_total, 0) as refunded_total,
    coalesce(of_people.net_revenue, 0) as net_revenue,
    {{ ratio('of_people.net_revenue', 'of_people.buyers') }} as clv_historic,
    {{ ratio('of_people.repeat_buyers', 'of_people.buyers') }} as repeat_purchase_rate,
    {{ ratio('of_people.second_30d', 'of_people.ripe_30d') }} as second_purchase_rate_30d,
    {{ ratio('of_people.second_60d', 'of_people.ripe_60d') }} as second_purchase_rate_60d,
    {{ ratio('of_people.second_90d', 'of_people.ripe_90d') }} as second_purchase_rate_90d,
    gaps.gap_mean as mean_days_between_orders,
    gaps.gap_median as median_days_between_orders,
    {{ ratio('of_people.cancelled_orders', 'of_people.orders') }} as cancel_rate,
    {{ ratio('of_people.refunded_orders', 'of_people.orders') }} as refund_rate,
    {{ ratio('of_people.failed_payment_orders', 'of_people.orders') }} as failed_payment_rate,
    coalesce(of_checkouts.abandoned_checkouts_30d, 0) as abandoned_checkouts_30d,
    {{ ratio('of_checkouts.recovered_checkouts_30d', 'of_checkouts.abandoned_checkouts_30d') }}
        as checkout_recovery_rate,
    fulfilment.hours_order_to_ship,
    fulfilment.partial_shipment_rate,
    fulfilment.tracking_lag_minutes,
    fulfilment.stock_drift
from settings
left join of_people on settings.integration = of_people.integration
left join of_purchases on settings.integration = of_purchases.integration
left join of_checkouts on settings.integration = of_checkouts.integration
left join gaps on settings.integration = gaps.integration
left join fulfilment on settings.integration = fulfilment.integration
