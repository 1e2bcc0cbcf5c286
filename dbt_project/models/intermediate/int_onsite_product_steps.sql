{{ config(materialized='view_in_place') }}

with events as (
    select * from {{ ref('int_onsite_events') }}
    where name in ('view_item', 'add_to_cart')
),

purchases as (
    select * from {{ ref('int_onsite_purchases') }}
),

order_lines as (
    select * from {{ ref('stg_cscart__order_lines') }}
),

products as (
    select * from {{ ref('stg_cscart__products') }}
),

-- Two products may share a code: the one that is still sold, then the older one.
ranked_skus as (
    select
        integration,
        sku,
        product_id,
        row_number() over (
            partition by integration, sku
            order by case when deleted_at is null then 0 else 1 end, product_id
        ) as place
    from products
    where sku is not null
),

skus as (
    select * from ranked_skus
    where place = 1
),

told as (
    select
        events.integration,
        events.event_id,
        events.stamped_on,
        events.day,
        events.visitor_id,
        case events.name when 'view_item' then 'viewed' else 'added' end as step,
        item.product_id,
        item.sku,
        item.quantity,
        0 as revenue
    from events
    cross join
        lateral {{ each_item('events.items') }} as item
    union all
    -- Of an order that is not in the warehouse nothing is known but what the browser said.
    select
        purchases.integration,
        purchases.event_id,
        purchases.stamped_on,
        purchases.day,
        purchases.visitor_id,
        'bought' as step,
        item.product_id,
        item.sku,
        item.quantity,
        0 as revenue
    from purchases
    cross join
        lateral {{ each_item('purchases.items') }} as item
    where purchases.order_id is null
    union all
    select
        purchases.integration,
        purchases.event_id,
        purchases.stamped_on,
        purchases.day,
        purchases.visitor_id,
        'bought' as step,
        cast(order_lines.product_id as text) as product_id,
        order_lines.sku,
        order_lines.quantity,
        case when purchases.is_purchase then order_lines.subtotal else 0 end as revenue
    from purchases
    inner join order_lines
        on
            purchases.integration = order_lines.integration
            and purchases.order_id = order_lines.order_id
),

resolved as (
    select
        told.*,
        coalesce(told.product_id, told.sku) as told_key,
        coalesce(by_id.product_id, skus.product_id) as known_product_id
    from told
    left join products as by_id
        on
            told.integration = by_id.integration
            and {{ number_of('told.product_id') }} = by_id.product_id
    left join skus
        on
            told.integration = skus.integration
            and told.sku = skus.sku
)

select
    resolved.integration,
    resolved.event_id,
    resolved.stamped_on,
    resolved.day,
    resolved.visitor_id,
    resolved.step,
    coalesce(cast(resolved.known_product_id as text), resolved.told_key) as product_key,
    resolved.known_product_id is not null as is_in_catalogue,
    resolved.known_product_id as product_id,
    case
        when resolved.known_product_id is null then resolved.sku
        else coalesce(products.sku, resolved.sku)
    end as sku,
    products.product,
    resolved.quantity,
    resolved.revenue
from resolved
left join products
    on
        resolved.integration = products.integration
        and resolved.known_product_id = products.product_id
where resolved.told_key is not null
