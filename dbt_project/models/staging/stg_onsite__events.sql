with integrations as (
    select integration from {{ ref('stg_registry__integrations') }}
),

events as (
    select * from {{ source('onsite', 'events') }}
)

select
    events.integration,
    events.event_id,
    events.day as stamped_on,
    events.name,
    events.occurred_at,
    events.visitor_id,
    events.email_sha256,
    events.page,
    events.referrer,
    events.items,
    events.order_id,
    events.device
from events
inner join integrations on events.integration = integrations.integration
