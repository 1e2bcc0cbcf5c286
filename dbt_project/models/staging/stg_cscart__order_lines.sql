with integrations as (
    select integration from {{ ref('stg_registry__integrations') }}
),

order_lines as (
    select * from {{ source('cscart', 'order_lines') }}
)

select
    order_lines.integration,
    order_lines.order_id,
    order_lines.item_id,
    order_lines.product_id,
    {{ cleaned('order_lines.product_code') }} as sku,
    order_lines.product,
    order_lines.quantity,
    order_lines.price,
    coalesce(order_lines.subtotal, order_lines.price * order_lines.quantity) as subtotal
from order_lines
inner join integrations on order_lines.integration = integrations.integration
