{% set since_view = in_last_days(
    'events.occurred_at', var('viewed_days'), 'settings.as_of', 'settings.timezone'
) %}
{% set since_cart = in_last_days(
    'events.occurred_at', var('cart_left_days'), 'settings.as_of', 'settings.timezone'
) %}

with settings as (
    select * from {{ ref('int_onsite_settings') }}
    where {{ in_scope() }}
),

events as (
    select * from {{ ref('int_onsite_events') }}
    where {{ in_scope() }} and identity is not null
),

visitors as (
    select * from {{ ref('stg_onsite__visitors') }}
    where {{ in_scope() }}
),

identities as (
    select * from {{ ref('int_onsite_identities') }}
    where {{ in_scope() }}
),

visited as (
    select
        events.integration,
        events.identity,
        max(events.occurred_at) as last_seen_at,
        max(
            case when events.name = 'view_item' and {{ since_view }} then events.occurred_at end
        ) as viewed_at,
        max(
            case
                when
                    events.name in ('add_to_cart', 'begin_checkout')
                    and {{ since_cart }}
                    and events.occurred_at
                    <= {{ minutes_after('settings.as_of', '-' ~ var('cart_left_minutes')) }}
                    then events.occurred_at
            end
        ) as cart_at
    from events
    inner join settings on events.integration = settings.integration
    group by events.integration, events.identity
),

seen as (
    select
        identities.integration,
        identities.identity,
        max(visitors.last_at) as last_seen_at
    from visitors
    inner join identities
        on
            visitors.integration = identities.integration
            and visitors.email_sha256 = identities.email_sha256
    group by identities.integration, identities.identity
),

everyone as (
    select integration, identity from visited
    union
    select integration, identity from seen
),

-- An order that waits for its money is no cart left behind; a failed or cancelled one may be.
ordered as (
    select
        orders.integration,
        orders.identity,
        orders.ordered_at as bought_at
    from {{ ref('int_orders') }} as orders
    inner join settings on orders.integration = settings.integration
    inner join everyone
        on
            orders.integration = everyone.integration
            and orders.identity = everyone.identity
    where
        {{ in_scope('orders') }}
        and orders.is_counted
        and not orders.is_cancelled
        and not orders.is_failed_payment
        and orders.ordered_at < settings.as_of
    union all
    select
        integration,
        identity,
        occurred_at as bought_at
    from {{ ref('int_onsite_purchases') }}
    where {{ in_scope() }} and stands and identity is not null
),

bought as (
    select
        integration,
        identity,
        max(bought_at) as bought_at
    from ordered
    group by integration, identity
)

select
    everyone.integration,
    everyone.identity,
    greatest(visited.last_seen_at, seen.last_seen_at) as last_seen_at,
    case
        when bought.bought_at >= visited.viewed_at then null
        else visited.viewed_at
    end as viewed_at,
    case
        when bought.bought_at >= visited.cart_at then null
        else visited.cart_at
    end as cart_left_at
from everyone
left join visited
    on
        everyone.integration = visited.integration
        and everyone.identity = visited.identity
left join seen
    on
        everyone.integration = seen.integration
        and everyone.identity = seen.identity
left join bought
    on
        everyone.integration = bought.integration
        and everyone.identity = bought.identity
