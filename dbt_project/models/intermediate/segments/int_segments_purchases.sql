-- By the number of purchases, and who they are about.
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
        'never_purchased' as segment,
        case when orders = 0 then 'no orders' else orders || ' orders, none of them settled' end
            as reason
    where purchases = 0

    union all
    select
        'subscribed_no_purchase' as segment,
        'in the list since ' || {{ show_day('subscribed_at') }} || ', no purchase' as reason
    where purchases = 0 and is_newly_subscribed and (can_email or can_sms)

    union all
    select
        'first_time_30' as segment,
        'first purchase ' || {{ show_day('first_purchase_at') }} as reason
    where purchases = 1 and is_new_buyer

    union all
    select
        'one_and_done' as segment,
        'one purchase, ' || {{ show_days('days_since_last_purchase') }} || ' days ago' as reason
    where purchases = 1 and days_since_last_purchase > {{ var('one_and_done_days') }}

    union all
    select 'repeat_customers' as segment, purchases_reason as reason
    where purchases >= {{ var('repeat_purchases') }}

    union all
    select 'loyal_customers' as segment, purchases_reason as reason
    where purchases >= {{ var('loyal_purchases') }}

    union all
    select
        'guest_customers' as segment,
        'no account; ' || orders || case when orders = 1 then ' order' else ' orders' end as reason
    where is_guest

    union all
    select
        'uncontactable_buyers' as segment,
        purchases_reason || ', no usable e-mail or mobile' as reason
    where is_buyer and not can_email and not can_sms
) as rules
