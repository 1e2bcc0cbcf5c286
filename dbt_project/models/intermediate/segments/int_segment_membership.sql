{{ config(materialized='table_in_place') }}

-- depends_on: {{ ref('int_builds') }}, {{ ref('int_changed_people') }}
with of_people as (
    select * from {{ ref('int_segments_apifon') }}
    union all
    select * from {{ ref('int_segments_purchases') }}
    union all
    select * from {{ ref('int_segments_value') }}
    union all
    select * from {{ ref('int_segments_timing') }}
    union all
    select * from {{ ref('int_segments_habits') }}
    union all
    select * from {{ ref('int_segments_onsite') }}
    union all
    select * from {{ ref('int_segments_rfm') }}
),

of_categories as (
    select * from {{ ref('int_segments_categories') }}
)

select
    integration,
    segment,
    identity,
    cast(null as text) as category,
    reason
from of_people

union all

select
    integration,
    segment,
    identity,
    category,
    reason
from of_categories
