{{ config(materialized='ephemeral') }}

with integrations as (
    select integration from {{ ref('stg_registry__integrations') }}
),

orders as (
    select * from {{ source('cscart', 'orders') }}
    where {{ in_scope() }}
)

select
    orders.integration,
    orders.order_id,
    orders.total,
    orders.ordered_at
from orders
inner join integrations on orders.integration = integrations.integration
