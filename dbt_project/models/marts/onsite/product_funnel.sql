with settings as (
    select * from {{ ref('int_onsite_settings') }}
    where {{ in_scope() }}
),

-- First by visitor, so that different ones need not be told apart afterwards. A product that an
-- event names twice is one view, one add, one purchase.
of_visitors as (
    select
        integration,
        day,
        product_key,
        is_in_catalogue,
        step,
        visitor_id,
        max(product_id) as product_id,
        max(sku) as sku,
        max(product) as product,
        count(distinct event_id) as times,
        sum(quantity) as quantity,
        sum(revenue) as revenue
    from {{ ref('int_onsite_product_steps') }}
    where {{ in_scope() }}
    group by integration, day, product_key, is_in_catalogue, step, visitor_id
)

select
    steps.integration,
    steps.day,
    steps.product_key,
    steps.is_in_catalogue,
    max(steps.product_id) as product_id,
    max(steps.sku) as sku,
    max(steps.product) as product,
    {% for step in ['viewed', 'added', 'bought'] -%}
    cast({{ sum_if('steps.times', "steps.step = '" ~ step ~ "'") }} as bigint) as {{ step }},
    {{ count_if("steps.step = '" ~ step ~ "'") }} as {{ step }}_visitors,
    {% endfor -%}
    {{ sum_if('steps.quantity', "steps.step = 'added'") }} as added_quantity,
    {{ sum_if('steps.quantity', "steps.step = 'bought'") }} as bought_quantity,
    sum(steps.revenue) as revenue,
    settings.list_since
from of_visitors as steps
inner join settings on steps.integration = settings.integration
where steps.day >= settings.first_day
group by
    steps.integration, steps.day, steps.product_key, steps.is_in_catalogue, settings.list_since
