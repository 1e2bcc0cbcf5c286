-- By what known visitors look at in the shop, see int_onsite_people.
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
        'viewed_not_purchased' as segment,
        'last viewed a product ' || {{ show_day('viewed_at') }} || ', no order since' as reason
    where viewed_at is not null

    union all
    select
        'cart_abandoners' as segment,
        'cart or checkout left ' || {{ show_day('cart_left_at') }} || ', no order since' as reason
    where cart_left_at is not null
) as rules
