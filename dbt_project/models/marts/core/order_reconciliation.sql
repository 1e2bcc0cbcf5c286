with placed as (
    select * from {{ ref('stg_cscart__order_totals') }}
),

orders as (
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

reconciled as (
    select
        placed.integration,
        {{ local_date('placed.ordered_at', 'settings.timezone') }} as day,
        placed.total as shop_total,
        orders.order_id,
        orders.total,
        orders.is_purchase,
        case
            when orders.order_id is null then 'synchronised after the build began'
            when orders.deleted_at is not null then 'deleted in the shop'
            when orders.is_parent_order or orders.status = 'T' then 'parent order'
            when orders.is_incomplete then 'incomplete checkout'
            when orders.ordered_at >= settings.as_of then 'after as_of'
            when orders.identity is null then 'no usable e-mail or mobile'
            when subscribers.identity is null then 'guest, guests not in the list'
            when subscribers.deleted_at is not null then 'customer removed from the shop'
            else 'in the list'
        end as outcome
    from placed
    inner join settings on placed.integration = settings.integration
    left join orders
        on
            placed.integration = orders.integration
            and placed.order_id = orders.order_id
    left join subscribers
        on
            orders.integration = subscribers.integration
            and orders.identity = subscribers.identity
)

select
    integration,
    day,
    outcome,
    outcome = 'in the list' as is_in_list,
    count(*) as shop_orders,
    sum(shop_total) as shop_total,
    count(order_id) as orders,
    coalesce(sum(total), 0) as total,
    {{ count_if('is_purchase') }} as purchases,
    {{ sum_if('total', 'is_purchase') }} as revenue
from reconciled
group by integration, day, outcome
