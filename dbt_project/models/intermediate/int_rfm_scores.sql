with purchases as (
    select * from {{ ref('int_purchases') }}
),

settings as (
    select * from {{ ref('int_shop_settings') }}
),

measured as (
    select
        purchases.integration,
        purchases.identity,
        min({{ local_date('settings.as_of', 'settings.timezone') }} - purchases.ordered_on)
            as recency_days,
        count(*) as frequency,
        sum(purchases.total) as monetary
    from purchases
    inner join settings on purchases.integration = settings.integration
    {% if var('rfm_days') | int > 0 -%}
    where {{ in_last_days('purchases.ordered_at', var('rfm_days')) }}
    {%- endif %}
    group by purchases.integration, purchases.identity
),

cuts as (
    select
        integration,
        {% for measure in ['recency_days', 'frequency', 'monetary'] -%}
        {%- for part in [1, 2, 3, 4] -%}
        {{ quantile(measure, part / 5) }} + 1 as {{ measure }}_{{ part }}
        {%- if not loop.last %},
        {% endif %}
        {%- endfor %}
        {%- if not loop.last %},
        {% endif %}
        {%- endfor %}
    from measured
    group by integration
),

scored as (
    select
        measured.*,
        6 - {{ score_of('measured.recency_days', [
            'cuts.recency_days_1', 'cuts.recency_days_2',
            'cuts.recency_days_3', 'cuts.recency_days_4'
        ]) }} as r,
        {{ score_of('measured.frequency', [
            'cuts.frequency_1', 'cuts.frequency_2', 'cuts.frequency_3', 'cuts.frequency_4'
        ]) }} as f,
        {{ score_of('measured.monetary', [
            'cuts.monetary_1', 'cuts.monetary_2', 'cuts.monetary_3', 'cuts.monetary_4'
        ]) }} as m
    from measured
    inner join cuts on measured.integration = cuts.integration
)

select
    integration,
    identity,
    recency_days,
    frequency,
    monetary,
    r,
    f,
    m,
    case
        when r <= 2 and f <= 2 then 'hibernating'
        when r <= 2 and f <= 4 then 'at_risk'
        when r <= 2 then 'cant_lose'
        when r = 3 and f <= 2 then 'about_to_sleep'
        when r = 3 and f = 3 then 'need_attention'
        when r <= 4 and f >= 4 then 'loyal_customers_rfm'
        when r = 4 and f = 1 then 'promising'
        when r = 5 and f = 1 then 'new_customers_rfm'
        when f <= 3 then 'potential_loyalist'
        else 'champions_rfm'
    end as rfm_group
from scored
