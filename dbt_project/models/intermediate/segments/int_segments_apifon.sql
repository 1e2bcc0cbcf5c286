-- Apifon's seven prebuilt e-commerce segments.
with inputs as (
    select * from {{ ref('int_segment_inputs') }}
)

select
    inputs.integration,
    rules.segment,
    inputs.identity,
    rules.reason
from inputs
cross join lateral (  -- noqa: ST05
    select
        'new_customers' as segment,
        'registered ' || {{ show_day('registered_at') }} as reason
    where is_newly_registered

    union all
    select 'recent_buyers_30' as segment, last_purchase_reason as reason
    where purchases_30d >= 1

    union all
    select 'recent_buyers_90' as segment, last_purchase_reason as reason
    where purchases_90d >= 1

    union all
    select 'non_buyers_30' as segment, last_purchase_reason as reason
    where purchases_30d = 0

    union all
    select 'non_buyers_90' as segment, last_purchase_reason as reason
    where purchases_90d = 0

    union all
    select
        'frequent_buyers' as segment,
        purchases_365d || ' purchases in {{ var("frequent_days") }} days' as reason
    where purchases_365d >= {{ var('frequent_purchases') }}

    union all
    select 'lapsed_customers' as segment, last_purchase_reason as reason
    where is_buyer and days_since_last_purchase > {{ var('lapsed_days') }}
) as rules
