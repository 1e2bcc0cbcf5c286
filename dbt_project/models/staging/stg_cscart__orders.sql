with integrations as (
    select integration from {{ ref('stg_registry__integrations') }}
),

orders as (
    select * from {{ source('cscart', 'orders') }}
),

contacts as (
    select * from {{ source('cscart', 'order_contacts') }}
)

select
    orders.integration,
    orders.order_id,
    orders.is_parent_order,
    orders.parent_order_id,
    orders.user_id as customer_id,
    contacts.email,
    contacts.mobile,
    contacts.faulty_email,
    {{ cleaned('orders.firstname') }} as firstname,
    {{ cleaned('orders.lastname') }} as lastname,
    orders.status,
    orders.total,
    orders.subtotal,
    coalesce(orders.discount, 0) + coalesce(orders.subtotal_discount, 0) as discount,
    orders.shipping_cost,
    orders.tax_total,
    upper(
        coalesce({{ cleaned('orders.s_country') }}, {{ cleaned('orders.b_country') }})
    ) as country,
    orders.ordered_at,
    orders.updated_at,
    orders.deleted_at
from orders
inner join integrations on orders.integration = integrations.integration
left join contacts
    on
        orders.integration = contacts.integration
        and orders.order_id = contacts.order_id
