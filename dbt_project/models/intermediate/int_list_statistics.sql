with buyers as (
    select
        facts.*,
        {{ ratio('discounted_purchases', 'purchases') }} as discounted_share
    from {{ ref('int_customer_facts') }} as facts
    where {{ in_scope('facts') }} and facts.purchases >= 1
),

gaps as (
    select * from {{ ref('int_purchase_gaps') }}
    where {{ in_scope() }}
),

of_buyers as (
    select
        integration,
        count(*) as buyers,
        {{ count_if('purchases >= 2') }} as returning_buyers,
        {{ ratio('sum(revenue)', 'sum(purchases)') }} as list_average_order_value,
        avg(average_order_value) as mean_average_order_value,
        avg(net_revenue) as mean_net_revenue,
        avg(revenue_365d) as mean_revenue_365d,
        stddev_samp(revenue_365d) as sd_revenue_365d,
        avg(purchases_365d) as mean_purchases_365d,
        avg(discounted_share) as mean_discounted_share,
        stddev_samp(discounted_share) as sd_discounted_share,
        {{ quantile('net_revenue', 1 - var('vip_top_share')) }} as top_net_revenue,
        {{ quantile('average_order_value', var('small_spender_share')) }}
            as bottom_average_order_value
    from buyers
    group by integration
),

thresholds as (
    select
        of_buyers.*,
        mean_revenue_365d + {{ var('outlier_sd') }} * sd_revenue_365d as vip_revenue_365d,
        mean_revenue_365d - {{ var('outlier_sd') }} * sd_revenue_365d as small_spender_revenue_365d,
        mean_discounted_share
        + {{ var('outlier_sd') }} * sd_discounted_share as discount_share_limit,
        returning_buyers >= {{ var('lifecycle_min_returning') }} as has_own_lifecycle
    from of_buyers
)

select
    thresholds.integration,
    thresholds.buyers,
    thresholds.returning_buyers,
    thresholds.list_average_order_value,
    thresholds.mean_average_order_value,
    thresholds.mean_net_revenue,
    thresholds.mean_purchases_365d,
    thresholds.vip_revenue_365d,
    thresholds.small_spender_revenue_365d,
    thresholds.top_net_revenue,
    thresholds.bottom_average_order_value,
    thresholds.discount_share_limit,
    {% for part in [1, 2, 3] -%}
    case
        when thresholds.has_own_lifecycle then gaps.gap_quantile_{{ part }}
        else {{ var('lifecycle_days')[part - 1] }}
    end as lifecycle_{{ part }},
    {% endfor -%}
    case
        when gaps.gaps is null
            then {{ var('interval_default_mean') }} + {{ var('interval_default_sd') }}
        else gaps.gap_mean + coalesce(gaps.gap_sd, 0)
    end as interval_active,
    case
        when gaps.gaps is null
            then {{ var('interval_default_mean') }} + 2 * {{ var('interval_default_sd') }}
        else gaps.gap_mean + 2 * coalesce(gaps.gap_sd, 0)
    end as interval_slipping
from thresholds
left join gaps on thresholds.integration = gaps.integration
