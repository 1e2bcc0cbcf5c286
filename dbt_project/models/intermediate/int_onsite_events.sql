{{ config(unlogged=true) }}

{% set in_order -%}
    partition by integration, visitor_id
    order by seen_at asc, is_unnamed asc, email_sha256 asc, event_id asc, stamped_on asc
{%- endset %}

with settings as (
    select * from {{ ref('int_onsite_settings') }}
    where {{ in_scope() }}
),

visitors as (
    select
        visitors.*,
        settings.as_of,
        settings.timezone
    from {{ ref('stg_onsite__visitors') }} as visitors
    inner join settings on visitors.integration = settings.integration
    where {{ in_scope('visitors') }}
),

identities as (
    select * from {{ ref('int_onsite_identities') }}
    where {{ in_scope() }}
),

-- Events, and the moments at which a visitor is known to have been an address: the events that said
-- so may have been dropped since. One list, so that it is sorted once.
timeline as (
    select
        events.integration,
        events.visitor_id,
        events.occurred_at as seen_at,
        case when events.email_sha256 is null then 1 else 0 end as is_unnamed,
        events.email_sha256,
        events.event_id,
        events.stamped_on,
        events.name,
        events.occurred_at,
        events.page,
        events.referrer,
        events.device,
        case when events.name in ('view_item', 'add_to_cart', 'purchase') then events.items end
            as items,
        events.order_id,
        settings.timezone
    from {{ ref('stg_onsite__events') }} as events
    inner join settings on events.integration = settings.integration
    where
        {{ in_scope('events') }}
        and events.occurred_at >= settings.read_since
        and events.occurred_at < settings.as_of
    {% for moment in ['first_at', 'last_at'] -%}
    union all
    select
        integration,
        visitor_id,
        {{ moment }} as seen_at,
        0 as is_unnamed,
        email_sha256,
        null as event_id,
        null as stamped_on,
        null as name,
        null as occurred_at,
        null as page,
        null as referrer,
        null as device,
        null as items,
        null as order_id,
        timezone
    from visitors
    where {{ moment }} < as_of
    {% endfor %}
),

placed as (
    select
        timeline.*,
        max(occurred_at) over (
            {{ in_order }} rows between unbounded preceding and 1 preceding
        ) as previous_at,
        count(email_sha256) over (
            {{ in_order }} rows between unbounded preceding and current row
        ) as sightings
    from timeline
),

begun as (
    select
        placed.*,
        occurred_at is not null
        and (
            previous_at is null
            or occurred_at >= {{ minutes_after('previous_at', var('onsite_session_minutes')) }}
        ) as is_session_start
    from placed
),

-- The last address until then: numbered, so that the greatest is the last.
followed as (
    select
        begun.*,
        sum(case when is_session_start then 1 else 0 end) over (
            {{ in_order }} rows between unbounded preceding and current row
        ) as session_number,
        max(case when email_sha256 is not null then {{ numbered('sightings', 'email_sha256') }} end)
            over ({{ in_order }} rows between unbounded preceding and current row) as last_known,
        max(case when sightings = 1 then email_sha256 end) over (
            partition by integration, visitor_id
        ) as first_known
    from begun
),

owned as (
    select
        followed.*,
        coalesce({{ without_number('last_known') }}, first_known) as owner_sha256
    from followed
    where event_id is not null
)

select
    owned.integration,
    owned.event_id,
    owned.stamped_on,
    owned.name,
    owned.occurred_at,
    {{ local_date('owned.occurred_at', 'owned.timezone') }} as day,
    owned.visitor_id,
    owned.session_number,
    owned.is_session_start,
    owned.owner_sha256 as email_sha256,
    identities.identity,
    case when owned.is_session_start then owned.page end as landing_page,
    case when owned.is_session_start then owned.referrer end as referrer,
    case when owned.is_session_start then owned.device end as device,
    owned.items,
    {{ number_of('owned.order_id') }} as order_id
from owned
left join identities
    on
        owned.integration = identities.integration
        and owned.owner_sha256 = identities.email_sha256
