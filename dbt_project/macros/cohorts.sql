{# Cohorts of the month of the first purchase, for every month since. `person` is the column of
   int_purchases that tells people apart: identity, or customer_id. #}

{% macro cohorts_by(person) -%}
{%- set last_day = local_date(last_moment_before('settings.as_of'), 'settings.timezone') -%}
with settings as (
    select * from {{ ref('int_shop_settings') }}
    where {{ in_scope() }}
),

-- The first purchase of a person in a month stands for the person there.
placed as (
    select
        integration,
        total,
        {{ month_of('ordered_on') }} as month,
        min({{ month_of('ordered_on') }}) over person as cohort_month,
        row_number() over (
            partition by integration, {{ person }}, {{ month_of('ordered_on') }}
        ) = 1 as is_first_of_month
    from {{ ref('int_purchases') }}
    where {{ in_scope() }} and {{ person }} is not null
    window person as (partition by integration, {{ person }})
),

activity as (
    select
        integration,
        cohort_month,
        {{ months_between('cohort_month', 'month') }} as month_number,
        {{ count_if('is_first_of_month') }} as buyers,
        sum(total) as revenue
    from placed
    group by integration, cohort_month, month
),

cohorts as (
    select
        integration,
        cohort_month,
        buyers as cohort_size
    from activity
    where month_number = 0
),

-- Every month up to the one that as_of is in: no gaps where nothing was bought.
calendar as (
    select
        cohorts.integration,
        cohorts.cohort_month,
        cohorts.cohort_size,
        spine.number as month_number
    from cohorts
    inner join settings on cohorts.integration = settings.integration
    cross join
        lateral {{ each_number(months_between('cohorts.cohort_month', last_day)) }} as spine
)

select
    calendar.integration,
    calendar.cohort_month,
    calendar.month_number,
    calendar.cohort_size,
    coalesce(activity.buyers, 0) as buyers,
    coalesce(activity.revenue, 0) as revenue,
    sum(coalesce(activity.revenue, 0)) over (
        partition by calendar.integration, calendar.cohort_month
        order by calendar.month_number
    ) as cumulative_revenue,
    {{ ratio('coalesce(activity.buyers, 0)', 'calendar.cohort_size') }} as retention
from calendar
left join activity
    on
        calendar.integration = activity.integration
        and calendar.cohort_month = activity.cohort_month
        and calendar.month_number = activity.month_number
{%- endmacro %}
