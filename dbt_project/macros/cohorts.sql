{# Cohorts of the month of the first purchase, for every month since. `person` is the column of
   int_purchases that tells people apart: identity, or customer_id. #}

{% macro cohorts_by(person) -%}
{%- set last_day = local_date(last_moment_before('settings.as_of'), 'settings.timezone') -%}
with settings as (
    select * from {{ ref('int_shop_settings') }}
    where {{ in_scope() }}
),

first_months as (
    select
        integration,
        {{ person }} as person,
        min({{ month_of('ordered_on') }}) as cohort_month
    from {{ ref('int_purchases') }}
    where {{ in_scope() }} and {{ person }} is not null
    group by integration, {{ person }}
),

purchases as (
    select
        bought.integration,
        first_months.person,
        bought.total,
        first_months.cohort_month,
        {{ months_between('first_months.cohort_month', month_of('bought.ordered_on')) }}
            as month_number
    from {{ ref('int_purchases') }} as bought
    inner join first_months
        on
            bought.integration = first_months.integration
            and bought.{{ person }} = first_months.person
    where {{ in_scope('bought') }}
),

cohorts as (
    select
        integration,
        cohort_month,
        count(distinct person) as cohort_size
    from purchases
    group by integration, cohort_month
),

activity as (
    select
        integration,
        cohort_month,
        month_number,
        count(distinct person) as buyers,
        sum(total) as revenue
    from purchases
    group by integration, cohort_month, month_number
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
