{% set last_day = local_date(last_moment_before('settings.as_of'), 'settings.timezone') %}

with settings as (
    select * from {{ ref('int_shop_settings') }}
    where {{ in_scope() }}
),

purchases_of_buyers as (
    select
        integration,
        ordered_on as day,
        identity,
        count(*) as purchases,
        sum(total) as revenue
    from {{ ref('int_purchases') }}
    where {{ in_scope() }}
    group by integration, ordered_on, identity
),

purchases as (
    select
        integration,
        day,
        cast(sum(purchases) as bigint) as purchases,
        sum(revenue) as revenue,
        count(*) as buyers
    from purchases_of_buyers
    group by integration, day
),

subscribed as (
    select
        facts.integration,
        {{ local_date('facts.subscribed_at', 'settings.timezone') }} as day
    from {{ ref('int_customer_facts') }} as facts
    inner join settings on facts.integration = settings.integration
    where {{ in_scope('facts') }} and facts.subscribed_at < settings.as_of
),

subscriptions as (
    select
        integration,
        day,
        count(*) as new_subscribers
    from subscribed
    group by integration, day
),

first_days as (
    select
        integration,
        min(day) as first_day
    from (
        select integration, day from purchases
        union all
        select integration, day from subscriptions
    ) as days
    group by integration
),

-- Every day up to the one that as_of is in, or ends.
calendar as (
    select
        settings.integration,
        spine.day
    from settings
    inner join first_days on settings.integration = first_days.integration
    cross join
        lateral {{ each_day('first_days.first_day', last_day) }} as spine
)

select
    calendar.integration,
    calendar.day,
    coalesce(purchases.purchases, 0) as purchases,
    coalesce(purchases.revenue, 0) as revenue,
    coalesce(purchases.buyers, 0) as buyers,
    coalesce(subscriptions.new_subscribers, 0) as new_subscribers
from calendar
left join purchases
    on
        calendar.integration = purchases.integration
        and calendar.day = purchases.day
left join subscriptions
    on
        calendar.integration = subscriptions.integration
        and calendar.day = subscriptions.day
