with purchases as (
    select * from {{ ref('int_purchases') }}
    where {{ in_scope() }}
),

settings as (
    select * from {{ ref('int_shop_settings') }}
    where {{ in_scope() }}
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
        ]) }} as recency_score,
        {{ score_of('measured.frequency', [
            'cuts.frequency_1', 'cuts.frequency_2', 'cuts.frequency_3', 'cuts.frequency_4'
        ]) }} as frequency_score,
        {{ score_of('measured.monetary', [
            'cuts.monetary_1', 'cuts.monetary_2', 'cuts.monetary_3', 'cuts.monetary_4'
        ]) }} as monetary_score
    from measured
    inner join cuts on measured.integration = cuts.integration
)

select
    integration,
    identity,
    recency_days,
    frequency,
    monetary,
    recency_score,
    frequency_score,
    monetary_score,
    case
        when recency_score <= 2 and frequency_score <= 2 then 'hibernating'
        when recency_score <= 2 and frequency_score <= 4 then 'at_risk'
        when recency_score <= 2 then 'cant_lose'
        when recency_score = 3 and frequency_score <= 2 then 'about_to_sleep'
        when recency_score = 3 and frequency_score = 3 then 'need_attention'
        when recency_score <= 4 and frequency_score >= 4 then 'loyal_customers_rfm'
        when recency_score = 4 and frequency_score = 1 then 'promising'
        when recency_score = 5 and frequency_score = 1 then 'new_customers_rfm'
        when frequency_score <= 3 then 'potential_loyalist'
        else 'champions_rfm'
    end as rfm_group
from scored
