-- By how people buy: undone orders, discounts, checkouts left behind.
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
        'refund_or_cancel_prone' as segment,
        cancelled_orders || ' cancelled and ' || refunded_orders || ' refunded of '
        || orders || ' orders' as reason
    where
        orders >= {{ var('prone_min_orders') }}
        and cancelled_or_refunded_share >= {{ var('prone_share') }}

    union all
    select
        'discount_seekers' as segment,
        discounted_purchases || ' of ' || purchases || ' purchases with a discount' as reason
    where
        purchases >= {{ var('discount_min_purchases') }}
        and discounted_purchases > 0
        and (
            discounted_share >= discount_share_limit
            or discounted_share >= {{ var('discount_share') }}
        )

    union all
    select
        'abandoned_checkout' as segment,
        'checkout left ' || {{ show_day('abandoned_at') }} as reason
    where abandoned_at is not null
) as rules
