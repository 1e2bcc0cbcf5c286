-- No order is lost or doubled on the way, and no money.
with staged as (
    select integration, count(*) as orders, sum(total) as total
    from {{ ref('stg_cscart__orders') }}
    group by integration
),

published as (
    select integration, count(*) as orders, sum(total) as total
    from {{ ref('orders') }}
    group by integration
),

reconciled as (
    select integration, sum(orders) as orders, sum(total) as total
    from {{ ref('order_reconciliation') }}
    group by integration
)

select staged.integration, published.integration as published, reconciled.orders
from staged
full outer join published on staged.integration = published.integration
full outer join reconciled on published.integration = reconciled.integration
where
    staged.orders is distinct from published.orders
    or staged.total is distinct from published.total
    or published.orders is distinct from reconciled.orders
    or published.total is distinct from reconciled.total
