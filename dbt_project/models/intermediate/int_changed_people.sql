{%- set windows = [
    var('recent_days'), var('recent_long_days'), var('frequent_days'), var('value_days'),
    var('reactivated_days'),
] | unique -%}

with builds as (
    select
        builds.integration,
        builds.as_of,
        builds.last_as_of,
        settings.timezone
    from {{ ref('int_builds') }} as builds
    inner join {{ ref('int_shop_settings') }} as settings
        on builds.integration = settings.integration
    where {{ in_scope('builds') }} and not builds.is_whole
)

-- An order of the time between the two builds.
select
    builds.integration,
    orders.identity
from builds
inner join {{ orders_of_last_build('int_orders') }} as orders
    on
        builds.integration = orders.integration
        and orders.ordered_at >= least(builds.last_as_of, builds.as_of)
        and orders.ordered_at < greatest(builds.last_as_of, builds.as_of)
where {{ in_scope('orders') }} and orders.identity is not null
{% for days in windows %}
-- A purchase that was in the window of {{ days }} days at one of them, and not at the other.
{%- set edges = [
    days_after('builds.last_as_of', -(days | int), 'builds.timezone'),
    days_after('builds.as_of', -(days | int), 'builds.timezone'),
] | join(', ') %}
union
select
    builds.integration,
    purchases.identity
from builds
inner join {{ orders_of_last_build('int_purchases') }} as purchases
    on
        builds.integration = purchases.integration
        and purchases.ordered_at >= least({{ edges }})
        and purchases.ordered_at < greatest({{ edges }})
where {{ in_scope('purchases') }}
{% endfor %}
