with integrations as (
    select * from {{ ref('stg_registry__integrations') }}
    where {{ in_scope() }}
),

statuses as (
    select * from {{ ref('stg_cscart__statuses') }}
    where {{ in_scope() }}
),

paid_statuses as (
    select
        integration,
        string_agg(status, ',' order by status) as paid_statuses
    from statuses
    where payment_received and deleted_at is null
    group by integration
),

known_zones as (
    select name from pg_timezone_names
)

select
    integrations.integration,
    integrations.list_name,
    integrations.currency,
    coalesce(known_zones.name, 'UTC') as timezone,
    known_zones.name is not null as timezone_is_known,
    integrations.include_guests,
    coalesce(
        integrations.settled_statuses,
        paid_statuses.paid_statuses,
        {{ text_of(var('default_settled_statuses')) }}
    ) as settled_statuses,
    integrations.refund_statuses,
    integrations.created_at as list_since,
    {{ as_of() }} as as_of
from integrations
left join paid_statuses on integrations.integration = paid_statuses.integration
left join known_zones on integrations.timezone = known_zones.name
