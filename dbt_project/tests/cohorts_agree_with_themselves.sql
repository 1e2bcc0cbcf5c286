-- Month 0 is everybody's first, and nobody buys who is not in the cohort.
select integration, cohort_month, month_number
from {{ ref('cohort_retention') }}
where
    {{ in_scope() }}
    and ((month_number = 0 and buyers != cohort_size) or buyers > cohort_size)
