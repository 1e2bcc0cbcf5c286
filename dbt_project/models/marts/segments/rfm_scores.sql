select
    integration,
    identity,
    recency_days,
    frequency,
    monetary,
    recency_score,
    frequency_score,
    monetary_score,
    rfm_group
from {{ ref('int_rfm_scores') }}
where {{ in_scope() }}
