with orders as (
    select * from {{ ref('int_orders') }}
    where {{ in_scope() }}
),

subscribers as (
    select * from {{ ref('int_subscribers') }}
    where {{ in_scope() }}
),

settings as (
    select * from {{ ref('int_shop_settings') }}
    where {{ in_scope() }}
),

placed as (
    select
        orders.integration,
        orders.total,
        orders.is_purchase,
        case
            when orders.deleted_at is not null then 'deleted in the shop'
            when orders.is_parent_order or orders.status = 'T' then 'parent order'
            when orders.is_incomplete then 'incomplete checkout'
            when orders.ordered_at >= settings.as_of then 'after as_of'
            when orders.identity is null then 'no usable e-mail or mobile'
            when subscribers.identity is null then 'guest, guests not in the list'
            when subscribers.deleted_at is not null then 'customer removed from the shop'
            else 'in the list'
        end as outcome
    from orders
    inner join settings on orders.integration = settings.integration
    left join subscribers
        on
            orders.integration = subscribers.integration
            and orders.identity = subscribers.identity
)

select
    integration,
    outcome,
    outcome = 'in the list' as is_in_list,
    count(*) as orders,
    sum(total) as total,
    {{ count_if('is_purchase') }} as purchases,
    {{ sum_if('total', 'is_purchase') }} as revenue
from placed
group by integration, outcome
