with integrations as (
    select integration from {{ ref('stg_registry__integrations') }}
),

products as (
    select * from {{ source('cscart', 'products') }}
)

select
    products.integration,
    products.product_id,
    {{ cleaned('products.product_code') }} as sku,
    {{ cleaned('products.product') }} as product,
    products.main_category as category_id,
    products.deleted_at
from products
inner join integrations on products.integration = integrations.integration
