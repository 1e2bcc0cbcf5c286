with purchases as (
    select * from {{ ref('int_purchases') }}
    where {{ in_scope() }} and gap_days is not null
)

select
    integration,
    count(*) as gaps,
    avg(gap_days) as gap_mean,
    stddev_samp(gap_days) as gap_sd,
    {{ quantile('gap_days', 0.5) }} as gap_median,
    {{ quantile('gap_days', var('lifecycle_quantiles')[0]) }} as gap_quantile_1,
    {{ quantile('gap_days', var('lifecycle_quantiles')[1]) }} as gap_quantile_2,
    {{ quantile('gap_days', var('lifecycle_quantiles')[2]) }} as gap_quantile_3
from purchases
group by integration
