{{ config(indexes=[
    {'columns': ['integration', 'identity']},
    {'columns': ['integration', 'ordered_at']},
]) }}

with orders as (
    select * from {{ ref('int_orders') }}
    where {{ in_scope() }} and {{ of_changed_people() }}
),

subscribers as (
    select integration, identity from {{ ref('int_subscribers') }}
    where {{ in_scope() }} and deleted_at is null
),

settings as (
    select * from {{ ref('int_shop_settings') }}
    where {{ in_scope() }}
),

purchases as (
    select
        orders.integration,
        orders.order_id,
        orders.identity,
        orders.customer_id,
        orders.ordered_at,
        orders.ordered_on,
        orders.total,
        orders.is_refunded,
        orders.is_discounted,
        settings.timezone,
        row_number() over (
            partition by orders.integration, orders.identity
            order by orders.ordered_at, orders.order_id
        ) as purchase_number,
        lag(orders.ordered_at) over (
            partition by orders.integration, orders.identity
            order by orders.ordered_at, orders.order_id
        ) as previous_at
    from orders
    inner join settings on orders.integration = settings.integration
    inner join subscribers
        on
            orders.integration = subscribers.integration
            and orders.identity = subscribers.identity
    where orders.is_purchase and orders.ordered_at < settings.as_of
)

select
    integration,
    order_id,
    identity,
    customer_id,
    ordered_at,
    ordered_on,
    total,
    is_refunded,
    is_discounted,
    purchase_number,
    previous_at,
    {{ days_between('previous_at', 'ordered_at') }} as gap_days
from purchases
