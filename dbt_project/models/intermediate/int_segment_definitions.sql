{{ config(materialized='view_in_place') }}

select
    segment,
    part_of,
    definition
from (
    values
    {{ segments('words') }}
) as definitions (segment, part_of, definition)
