with buyers as (
    select
        facts.*,
        {{ ratio('n_discounted', 'n') }} as discounted_share
    from {{ ref('int_customer_facts') }} as facts
    where n >= 1
),

gaps as (
    select * from {{ ref('int_purchase_gaps') }}
),

of_buyers as (
    select
        integration,
        count(*) as buyers,
        {{ count_if('n >= 2') }} as returning_buyers,
        {{ ratio('sum(revenue)', 'sum(n)') }} as list_aov,
        avg(aov) as mean_aov,
        avg(rev_net) as mean_rev_net,
        avg(rev_365) as mean_rev_365,
        stddev_samp(rev_365) as sd_rev_365,
        avg(n_365) as mean_n_365,
        avg(discounted_share) as mean_discounted_share,
        stddev_samp(discounted_share) as sd_discounted_share,
        {{ quantile('rev_net', 1 - var('vip_top_share')) }} as top_rev_net,
        {{ quantile('aov', var('small_spender_share')) }} as bottom_aov
    from buyers
    group by integration
),

thresholds as (
    select
        of_buyers.*,
        mean_rev_365 + {{ var('outlier_sd') }} * sd_rev_365 as vip_rev_365,
        mean_rev_365 - {{ var('outlier_sd') }} * sd_rev_365 as small_rev_365,
        mean_discounted_share
        + {{ var('outlier_sd') }} * sd_discounted_share as discount_share_limit,
        returning_buyers >= {{ var('lifecycle_min_returning') }} as has_own_lifecycle
    from of_buyers
)

select
    thresholds.integration,
    thresholds.buyers,
    thresholds.returning_buyers,
    thresholds.list_aov,
    thresholds.mean_aov,
    thresholds.mean_rev_net,
    thresholds.mean_n_365,
    thresholds.vip_rev_365,
    thresholds.small_rev_365,
    thresholds.top_rev_net,
    thresholds.bottom_aov,
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
