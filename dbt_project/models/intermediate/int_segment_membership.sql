with inputs as (
    select * from {{ ref('int_segment_inputs') }}
    where {{ in_scope() }}
),

category_affinity as (
    select * from {{ ref('int_category_affinity') }}
    where {{ in_scope() }}
),

-- One pass over the list; the rules are in macros/segments.
members as (
    select
        inputs.*,
        rules.segment
    from inputs
    cross join
        lateral (
            values
            {{ segments('rule') }}
        ) as rules (segment, is_member)
    where rules.is_member
)

select
    integration,
    segment,
    identity,
    cast(null as text) as category,
    case segment {{ segments('reason') }} end as reason
from members

union all

select
    integration,
    'category_affinity' as segment,
    identity,
    category,
    purchases_in_category || ' purchases in ' || category || ', '
    || lines_in_category || ' of ' || lines_all || ' lines' as reason
from category_affinity
