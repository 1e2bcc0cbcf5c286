-- By what people buy: one row per category.
with purchases as (
    select integration, order_id, identity from {{ ref('int_purchases') }}
    where {{ in_scope() }}
),

order_lines as (
    select * from {{ ref('stg_cscart__order_lines') }}
    where {{ in_scope() }}
),

products as (
    select * from {{ ref('stg_cscart__products') }}
    where {{ in_scope() }}
),

categories as (
    select * from {{ ref('stg_cscart__categories') }}
    where {{ in_scope() }}
),

bought_lines as (
    select
        purchases.integration,
        purchases.identity,
        purchases.order_id,
        coalesce(categories.category, cast(products.category_id as text)) as category
    from purchases
    inner join order_lines
        on
            purchases.integration = order_lines.integration
            and purchases.order_id = order_lines.order_id
    left join products
        on
            order_lines.integration = products.integration
            and order_lines.product_id = products.product_id
    left join categories
        on
            products.integration = categories.integration
            and products.category_id = categories.category_id
),

of_identity as (
    select
        integration,
        identity,
        count(*) as lines_all
    from bought_lines
    group by integration, identity
),

of_category as (
    select
        integration,
        identity,
        category,
        count(*) as lines_in_category,
        count(distinct order_id) as purchases_in_category
    from bought_lines
    where category is not null
    group by integration, identity, category
)

select
    of_category.integration,
    'category_affinity' as segment,
    of_category.identity,
    of_category.category,
    of_category.purchases_in_category || ' purchases in ' || of_category.category || ', '
    || of_category.lines_in_category || ' of ' || of_identity.lines_all || ' lines' as reason
from of_category
inner join of_identity
    on
        of_category.integration = of_identity.integration
        and of_category.identity = of_identity.identity
where
    of_category.purchases_in_category >= {{ var('affinity_min_purchases') }}
    and {{ ratio('of_category.lines_in_category', 'of_identity.lines_all') }}
    >= {{ var('affinity_min_share') }}
