-- By how much people spend.
with inputs as (
    select * from {{ ref('int_segment_inputs') }}
),

explained as (
    select
        inputs.*,
        'average order ' || {{ show_number('average_order_value') }} || ', of the list '
        || {{ show_rounded('list_average_order_value') }} as order_value_reason
    from inputs
)

select
    explained.integration,
    rules.segment,
    explained.identity,
    rules.reason
from explained
cross join lateral (  -- noqa: ST05
    select
        'vip' as segment,
        {{ show_number('revenue_365d') }} || ' in {{ var("value_days") }} days, '
        || purchases_365d || ' purchases; '
        || {{ show_number('net_revenue') }} || ' in all' as reason
    where is_vip

    union all
    select
        'small_spenders' as segment,
        {{ show_number('revenue_365d') }} || ' in {{ var("value_days") }} days, average order '
        || {{ show_number('average_order_value') }} as reason
    where is_small_spender

    union all
    select 'aov_low' as segment, order_value_reason as reason
    where order_value_band = 'low'

    union all
    select 'aov_mid' as segment, order_value_reason as reason
    where order_value_band = 'mid'

    union all
    select 'aov_high' as segment, order_value_reason as reason
    where order_value_band = 'high'

    union all
    select
        'at_risk_high_value' as segment,
        last_purchase_reason || '; spent ' || {{ show_number('revenue') }} as reason
    where (pace = 'overdue' or lifecycle = 'at_risk') and (is_vip or monetary_score = 5)
) as rules
