with order_lines as (
    select * from {{ ref('stg_cscart__order_lines') }}
    where {{ in_scope() }}
),

products as (
    select * from {{ ref('stg_cscart__products') }}
    where {{ in_scope() }}
),

categories as (
    select * from {{ ref('stg_cscart__categories') }}
    where {{ in_scope() }}
)

select
    order_lines.integration,
    order_lines.order_id,
    order_lines.item_id,
    order_lines.product_id,
    order_lines.sku,
    order_lines.product,
    order_lines.quantity,
    order_lines.price,
    order_lines.subtotal,
    coalesce(categories.category, cast(products.category_id as text)) as category
from order_lines
left join products
    on
        order_lines.integration = products.integration
        and order_lines.product_id = products.product_id
left join categories
    on
        products.integration = categories.integration
        and products.category_id = categories.category_id
