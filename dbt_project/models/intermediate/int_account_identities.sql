-- depends_on: {{ ref('int_builds') }}, {{ ref('int_changed_people') }}
with accounts as (
    select * from {{ ref('stg_cscart__customers') }}
    where {{ in_scope() }}
),

orders as (
    select * from {{ ref('int_orders') }}
    where {{ in_scope() }}
),

of_accounts as (
    select
        integration,
        user_id,
        identity
    from accounts
    where identity is not null
),

of_orders as (
    select
        integration,
        customer_id as user_id,
        identity,
        count(*) as orders,
        max(ordered_at) as last_ordered_at
    from orders
    where is_counted and customer_id is not null and identity is not null
    group by integration, customer_id, identity
),

pairs as (
    select integration, user_id, identity from of_accounts
    union
    select integration, user_id, identity from of_orders
)

select
    pairs.integration,
    pairs.user_id,
    pairs.identity,
    of_accounts.identity is not null as is_account_email,
    accounts.user_id is not null and accounts.deleted_at is null as account_is_live,
    coalesce(of_orders.orders, 0) as orders,
    of_orders.last_ordered_at
from pairs
left join of_accounts
    on
        pairs.integration = of_accounts.integration
        and pairs.user_id = of_accounts.user_id
        and pairs.identity = of_accounts.identity
left join accounts
    on
        pairs.integration = accounts.integration
        and pairs.user_id = accounts.user_id
left join of_orders
    on
        pairs.integration = of_orders.integration
        and pairs.user_id = of_orders.user_id
        and pairs.identity = of_orders.identity
