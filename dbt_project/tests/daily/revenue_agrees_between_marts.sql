-- The same purchases and the same money, however they are cut.
with metrics as (
    select integration, purchases, settled_total as revenue from {{ ref('list_metrics') }}
    where {{ in_scope() }} and integration in {{ connected_integrations() }}
),

others as (
    select integration, 'customer_facts' as mart, sum(purchases) as purchases, sum(revenue) as revenue
    from {{ ref('customer_facts') }}
    group by integration
    union all
    select integration, 'list_metrics_daily', sum(purchases), sum(revenue)
    from {{ ref('list_metrics_daily') }}
    group by integration
    union all
    select integration, 'order_reconciliation', sum(purchases), sum(revenue)
    from {{ ref('order_reconciliation') }}
    where is_in_list
    group by integration
    union all
    select integration, 'cohort_retention', null, sum(revenue)
    from {{ ref('cohort_retention') }}
    group by integration
    {% if var('rfm_days') | int == 0 -%}
    union all
    select integration, 'rfm_scores', sum(frequency), sum(monetary)
    from {{ ref('rfm_scores') }}
    group by integration
    {%- endif %}
)

select metrics.integration, others.mart, others.purchases, others.revenue
from metrics
inner join others on metrics.integration = others.integration
where metrics.purchases != others.purchases or metrics.revenue != others.revenue
