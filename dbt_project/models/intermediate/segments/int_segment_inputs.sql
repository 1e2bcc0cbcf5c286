with facts as (
    select * from {{ ref('int_customer_facts') }}
    where {{ in_scope() }}
),

settings as (
    select * from {{ ref('int_shop_settings') }}
    where {{ in_scope() }}
),

list_statistics as (
    select * from {{ ref('int_list_statistics') }}
    where {{ in_scope() }}
),

rfm_scores as (
    select * from {{ ref('int_rfm_scores') }}
    where {{ in_scope() }}
),

abandoned_checkouts as (
    select
        integration,
        identity,
        max(ordered_at) as abandoned_at
    from {{ ref('int_checkouts') }}
    where {{ in_scope() }} and is_in_window and not is_recovered
    group by integration, identity
),

onsite_people as (
    select * from {{ ref('int_onsite_people') }}
    where {{ in_scope() }}
),

joined as (
    select
        facts.*,
        settings.timezone,
        settings.as_of,
        list_statistics.list_average_order_value,
        list_statistics.mean_average_order_value,
        list_statistics.mean_net_revenue,
        list_statistics.vip_revenue_365d,
        list_statistics.small_spender_revenue_365d,
        list_statistics.top_net_revenue,
        list_statistics.bottom_average_order_value,
        list_statistics.mean_purchases_365d,
        list_statistics.discount_share_limit,
        list_statistics.lifecycle_1,
        list_statistics.lifecycle_2,
        list_statistics.lifecycle_3,
        list_statistics.interval_active,
        list_statistics.interval_slipping,
        rfm_scores.recency_score,
        rfm_scores.frequency_score,
        rfm_scores.monetary_score,
        rfm_scores.rfm_group,
        abandoned_checkouts.abandoned_at,
        onsite_people.viewed_at,
        onsite_people.cart_left_at,
        facts.purchases >= 1 as is_buyer,
        facts.purchases >= 2 as is_returning,
        {{ ratio('facts.discounted_purchases', 'facts.purchases') }} as discounted_share,
        {{ ratio('facts.cancelled_orders + facts.refunded_orders', 'facts.orders') }}
            as cancelled_or_refunded_share,
        -- One own gap says little: with two purchases the list's median speaks.
        case
            when facts.purchases >= 3 then facts.mean_days_between_purchases
            else facts.list_median_days_between_purchases
        end as usual_days_between_purchases,
        case
            when facts.purchases = 0 then 'never purchased'
            else
                'last purchase ' || {{ show_day('facts.last_purchase_at') }} || ', '
                || {{ show_days('facts.days_since_last_purchase') }} || ' days ago'
        end as last_purchase_reason,
        facts.purchases || case when facts.purchases = 1 then ' purchase' else ' purchases' end
        || coalesce(', last ' || {{ show_day('facts.last_purchase_at') }}, '') as purchases_reason,
        coalesce(
            {{ in_last_days('facts.registered_at', var('new_customer_days')) }}, false
        ) as is_newly_registered,
        coalesce(
            {{ in_last_days('facts.subscribed_at', var('subscribed_no_purchase_days')) }}, false
        ) as is_newly_subscribed,
        coalesce(
            {{ in_last_days('facts.first_purchase_at', var('first_time_days')) }}, false
        ) as is_new_buyer
    from facts
    inner join settings on facts.integration = settings.integration
    left join list_statistics on facts.integration = list_statistics.integration
    left join rfm_scores
        on
            facts.integration = rfm_scores.integration
            and facts.identity = rfm_scores.identity
    left join abandoned_checkouts
        on
            facts.integration = abandoned_checkouts.integration
            and facts.identity = abandoned_checkouts.identity
    left join onsite_people
        on
            facts.integration = onsite_people.integration
            and facts.identity = onsite_people.identity
),

banded as (
    select
        joined.*,
        case
            when not is_buyer then null
            when average_order_value < {{ var('aov_low_factor') }} * list_average_order_value
                then 'low'
            when average_order_value <= {{ var('aov_high_factor') }} * list_average_order_value
                then 'mid'
            else 'high'
        end as order_value_band,
        case
            when not is_buyer then null
            when days_since_last_purchase < lifecycle_1 then 'recent'
            when days_since_last_purchase < lifecycle_2 then 'needs_nurturing'
            when days_since_last_purchase <= lifecycle_3 then 'at_risk'
            else 'about_to_lose'
        end as lifecycle,
        case
            when not is_buyer then null
            when days_since_last_purchase <= {{ var('just_ordered_days') }} then 'just_ordered'
            when days_since_last_purchase <= interval_active then 'active'
            when days_since_last_purchase <= interval_slipping then 'slipping_away'
            else 'lost'
        end as interval_band,
        case
            when not is_returning then null
            when
                days_since_last_purchase
                <= {{ var('overdue_factor') }} * usual_days_between_purchases
                then 'on_track'
            when
                days_since_last_purchase
                <= {{ var('inactive_factor') }} * usual_days_between_purchases
                then 'overdue'
            else 'inactive'
        end as pace,
        is_buyer
        and coalesce(
            revenue_365d > vip_revenue_365d and purchases_365d >= mean_purchases_365d, false
        ) as is_outstanding,
        is_buyer
        and coalesce(net_revenue >= top_net_revenue and net_revenue > mean_net_revenue, false)
            as is_top_spender,
        is_buyer and case
            when small_spender_revenue_365d > 0 then revenue_365d < small_spender_revenue_365d
            -- A quantile has 15 digits, an average may have more.
            else coalesce(
                round(average_order_value, 6) <= round(bottom_average_order_value, 6)
                and average_order_value < mean_average_order_value,
                false
            )
        end as is_small_spender
    from joined
)

select
    banded.*,
    case
        when max(case when is_outstanding then 1 else 0 end) over (partition by integration) = 1
            then is_outstanding
        else is_top_spender
    end as is_vip
from banded
