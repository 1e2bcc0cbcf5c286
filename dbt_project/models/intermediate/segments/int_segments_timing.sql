-- By the time since the last purchase: against limits that are fixed or the list's own (lifecycle,
-- interval), and against the customer's own pace.
with inputs as (
    select * from {{ ref('int_segment_inputs') }}
),

explained as (
    select
        inputs.*,
        last_purchase_reason || '; limits ' || {{ show_rounded('lifecycle_1') }} || ', '
        || {{ show_rounded('lifecycle_2') }} || ', '
        || {{ show_rounded('lifecycle_3') }} as lifecycle_reason,
        last_purchase_reason || '; limits {{ var("just_ordered_days") }}, '
        || {{ show_rounded('interval_active') }} || ', '
        || {{ show_rounded('interval_slipping') }} as interval_reason,
        last_purchase_reason || '; usually every '
        || {{ show_rounded('usual_days_between_purchases') }} || ' days' as pace_reason
    from inputs
)

select
    explained.integration,
    rules.segment,
    explained.identity,
    rules.reason
from explained
cross join lateral (  -- noqa: ST05
    select 'lifecycle_recent' as segment, lifecycle_reason as reason
    where lifecycle = 'recent'

    union all
    select 'lifecycle_needs_nurturing' as segment, lifecycle_reason as reason
    where lifecycle = 'needs_nurturing'

    union all
    select 'lifecycle_at_risk' as segment, lifecycle_reason as reason
    where lifecycle = 'at_risk'

    union all
    select 'lifecycle_about_to_lose' as segment, lifecycle_reason as reason
    where lifecycle = 'about_to_lose'

    union all
    select 'champions' as segment, purchases_reason as reason
    where
        lifecycle = 'recent' and is_returning
        and average_order_value >= list_average_order_value

    union all
    select 'loyalists' as segment, purchases_reason as reason
    where
        lifecycle = 'recent' and is_returning
        and average_order_value < list_average_order_value

    union all
    select 'high_potential' as segment, purchases_reason as reason
    where
        lifecycle = 'recent' and is_buyer and not is_returning
        and average_order_value >= list_average_order_value

    union all
    select 'just_ordered' as segment, interval_reason as reason
    where interval_band = 'just_ordered'

    union all
    select 'active_by_interval' as segment, interval_reason as reason
    where interval_band = 'active'

    union all
    select 'slipping_away' as segment, interval_reason as reason
    where interval_band = 'slipping_away'

    union all
    select 'lost_by_interval' as segment, interval_reason as reason
    where interval_band = 'lost'

    union all
    select 'on_track' as segment, pace_reason as reason
    where pace = 'on_track'

    union all
    select 'overdue' as segment, pace_reason as reason
    where pace = 'overdue'

    union all
    select 'inactive' as segment, pace_reason as reason
    where pace = 'inactive'

    union all
    select
        'reactivated' as segment,
        'came back after ' || {{ show_number('ended_gap_days') }} || ' days' as reason
    where ended_gap_days > {{ var('lapsed_days') }}
) as rules
