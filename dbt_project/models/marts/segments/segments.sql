with catalogue as (
    select * from {{ ref('segment_catalogue') }}
),

settings as (
    select integration, as_of from {{ ref('int_shop_settings') }}
    where {{ in_scope() }}
),

facts as (
    select * from {{ ref('int_customer_facts') }}
    where {{ in_scope() }}
),

-- A person may be in a segment once for each category.
members as (
    select
        integration,
        segment,
        identity
    from {{ ref('segment_members') }}
    where {{ in_scope() }} and category is null
    union all
    select distinct
        integration,
        segment,
        identity
    from {{ ref('segment_members') }}
    where {{ in_scope() }} and category is not null
),

measured as (
    select
        members.integration,
        members.segment,
        count(*) as members,
        sum(facts.purchases) as purchases,
        sum(facts.revenue) as revenue
    from members
    inner join facts
        on
            members.integration = facts.integration
            and members.identity = facts.identity
    group by members.integration, members.segment
)

select
    settings.integration,
    catalogue.segment,
    catalogue.name,
    catalogue.description as definition,
    catalogue.part_of,
    settings.as_of,
    coalesce(measured.members, 0) as members,
    cast(coalesce(measured.purchases, 0) as bigint) as purchases,
    coalesce(measured.revenue, 0) as revenue,
    {{ ratio('measured.revenue', 'measured.purchases') }} as average_order_value
from settings
cross join catalogue
left join measured
    on
        settings.integration = measured.integration
        and catalogue.segment = measured.segment
