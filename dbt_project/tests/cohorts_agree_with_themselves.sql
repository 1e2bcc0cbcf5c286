-- Month 0 is the first of every customer, and only customers of the cohort buy.
select integration, cohort_month, month_number
from {{ ref('cohort_retention') }}
where
    {{ in_scope() }}
    and ((month_number = 0 and buyers != cohort_size) or buyers > cohort_size)
