with subscribers as (
    select * from {{ ref('int_subscribers') }}
    where {{ in_scope() }}
),

onsite_people as (
    select integration, identity, last_seen_at from {{ ref('int_onsite_people') }}
    where {{ in_scope() }}
)

select
    subscribers.integration,
    subscribers.identity,
    subscribers.email,
    subscribers.mobile,
    subscribers.email_subscribed,
    subscribers.mobile_subscribed,
    subscribers.firstname,
    subscribers.lastname,
    subscribers.customer_id,
    subscribers.is_guest,
    subscribers.country,
    subscribers.registered_at,
    subscribers.subscribed_at,
    onsite_people.last_seen_at,
    subscribers.deleted_at
from subscribers
left join onsite_people
    on
        subscribers.integration = onsite_people.integration
        and subscribers.identity = onsite_people.identity
