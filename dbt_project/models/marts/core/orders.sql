{{ config(indexes=[
    {'columns': ['integration', 'identity']},
    {'columns': ['integration', 'ordered_at']},
]) }}

with placed as (
    select * from {{ ref('int_orders') }}
    where {{ in_scope() }} and {{ of_changed_people() }}

    union all

    select * from {{ ref('int_orders') }}
    where {{ in_scope() }} and {{ of_unidentified() }}
),

orders as (
    select
        *,
        case
            when is_purchase and identity is not null
                then row_number() over (
                    partition by integration, identity, is_purchase
                    order by ordered_at, order_id
                )
        end as order_sequence
    from placed
),

subscribers as (
    select integration, identity from {{ ref('int_subscribers') }}
    where {{ in_scope() }} and {{ of_changed_people() }} and deleted_at is null
)

select
    orders.integration,
    orders.order_id,
    orders.ordered_at,
    orders.ordered_on,
    orders.status,
    orders.status_name,
    orders.total,
    orders.subtotal,
    orders.discount,
    orders.shipping_cost,
    orders.tax_total,
    orders.currency,
    orders.customer_id,
    orders.email,
    orders.identity,
    orders.country,
    orders.is_parent_order,
    orders.is_incomplete,
    orders.is_purchase,
    orders.is_refunded,
    orders.is_cancelled,
    subscribers.identity is not null as is_in_list,
    orders.order_sequence,
    coalesce(orders.order_sequence > 1, false) as is_repeat,
    orders.updated_at,
    orders.deleted_at
from orders
left join subscribers
    on
        orders.integration = subscribers.integration
        and orders.identity = subscribers.identity
