{{ config(severity='warn') }}
-- No order is lost or doubled on the way, and no money. A warning only: staging is live, and a
-- synchronisation may have written between the build and this test.
with staged as (
    select integration, count(*) as orders, sum(total) as total
    from {{ ref('stg_cscart__orders') }}
    where {{ in_scope() }}
    group by integration
),

published as (
    select integration, count(*) as orders, sum(total) as total
    from {{ ref('orders') }}
    where {{ in_scope() }} and integration in {{ connected_integrations() }}
    group by integration
)

select coalesce(staged.integration, published.integration) as integration
from staged
full outer join published on staged.integration = published.integration
where
    staged.orders is distinct from published.orders
    or staged.total is distinct from published.total
