-- The groups of the R x F grid; which cell is in which group is in int_rfm_scores.
with rfm_scores as (
    select * from {{ ref('int_rfm_scores') }}
    where {{ in_scope() }}
)

select
    integration,
    rfm_group as segment,
    identity,
    'R ' || recency_score || ', F ' || frequency_score || ', M ' || monetary_score as reason
from rfm_scores
