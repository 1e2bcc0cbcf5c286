-- Every order is accounted for, with its money.
with published as (
    select integration, count(*) as orders, sum(total) as total
    from {{ ref('orders') }}
    where {{ in_scope() }} and integration in {{ connected_integrations() }}
    group by integration
),

reconciled as (
    select integration, sum(orders) as orders, sum(total) as total
    from {{ ref('order_reconciliation') }}
    where {{ in_scope() }} and integration in {{ connected_integrations() }}
    group by integration
)

select coalesce(published.integration, reconciled.integration) as integration
from published
full outer join reconciled on published.integration = reconciled.integration
where
    published.orders is distinct from reconciled.orders
    or published.total is distinct from reconciled.total
