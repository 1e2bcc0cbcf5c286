select
    integration,
    identity,
    recency_days,
    frequency,
    monetary,
    r,
    f,
    m,
    rfm_group
from {{ ref('int_rfm_scores') }}
