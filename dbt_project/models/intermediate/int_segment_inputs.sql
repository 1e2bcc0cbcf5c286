{{ config(materialized='view_in_place') }}

with facts as (
    select * from {{ ref('int_customer_facts') }}
),

settings as (
    select * from {{ ref('int_shop_settings') }}
),

list_statistics as (
    select * from {{ ref('int_list_statistics') }}
),

rfm_scores as (
    select * from {{ ref('int_rfm_scores') }}
),

abandoned_checkouts as (
    select
        integration,
        identity,
        max(ordered_at) as abandoned_at
    from {{ ref('int_checkouts') }}
    where is_in_window and not is_recovered
    group by integration, identity
),

onsite_people as (
    select * from {{ ref('int_onsite_people') }}
),

joined as (
    select
        facts.*,
        settings.timezone,
        settings.as_of,
        list_statistics.list_aov,
        list_statistics.mean_aov,
        list_statistics.mean_rev_net,
        list_statistics.vip_rev_365,
        list_statistics.small_rev_365,
        list_statistics.top_rev_net,
        list_statistics.bottom_aov,
        list_statistics.mean_n_365,
        list_statistics.discount_share_limit,
        list_statistics.lifecycle_1,
        list_statistics.lifecycle_2,
        list_statistics.lifecycle_3,
        list_statistics.interval_active,
        list_statistics.interval_slipping,
        rfm_scores.r,
        rfm_scores.f,
        rfm_scores.m,
        rfm_scores.rfm_group,
        abandoned_checkouts.abandoned_at,
        onsite_people.viewed_at,
        onsite_people.cart_left_at,
        facts.n >= 1 as is_buyer,
        facts.n >= 2 as is_returning,
        {{ ratio('facts.n_discounted', 'facts.n') }} as discounted_share,
        {{ ratio('facts.n_cancelled + facts.refunded', 'facts.n_all') }} as undone_share,
        -- One own gap says little: with two purchases the list's median speaks.
        case when facts.n >= 3 then facts.gap_avg else facts.gap_store end as own_gap,
        coalesce(
            {{ in_last_days('facts.registered_at', var('new_customer_days')) }}, false
        ) as is_newly_registered,
        coalesce(
            {{ in_last_days('facts.subscribed_at', var('subscribed_no_purchase_days')) }}, false
        ) as is_newly_subscribed,
        coalesce(
            {{ in_last_days('facts.first_at', var('first_time_days')) }}, false
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
            when aov < {{ var('aov_low_factor') }} * list_aov then 'low'
            when aov <= {{ var('aov_high_factor') }} * list_aov then 'mid'
            else 'high'
        end as aov_band,
        case
            when not is_buyer then null
            when dsl < lifecycle_1 then 'recent'
            when dsl < lifecycle_2 then 'needs_nurturing'
            when dsl <= lifecycle_3 then 'at_risk'
            else 'about_to_lose'
        end as lifecycle,
        case
            when not is_buyer then null
            when dsl <= {{ var('just_ordered_days') }} then 'just_ordered'
            when dsl <= interval_active then 'active'
            when dsl <= interval_slipping then 'slipping_away'
            else 'lost'
        end as interval_band,
        case
            when not is_returning then null
            when dsl <= {{ var('overdue_factor') }} * own_gap then 'on_track'
            when dsl <= {{ var('inactive_factor') }} * own_gap then 'overdue'
            else 'inactive'
        end as pace,
        is_buyer and coalesce(rev_365 > vip_rev_365 and n_365 >= mean_n_365, false)
            as is_outstanding,
        is_buyer and coalesce(rev_net >= top_rev_net and rev_net > mean_rev_net, false)
            as is_top_spender,
        is_buyer and case
            when small_rev_365 > 0 then rev_365 < small_rev_365
            -- A quantile has 15 digits, an average may have more.
            else coalesce(round(aov, 6) <= round(bottom_aov, 6) and aov < mean_aov, false)
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
