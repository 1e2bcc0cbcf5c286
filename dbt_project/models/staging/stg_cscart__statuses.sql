with integrations as (
    select integration from {{ ref('stg_registry__integrations') }}
),

statuses as (
    select * from {{ source('cscart', 'statuses') }}
)

select
    statuses.integration,
    statuses.status,
    {{ cleaned('statuses.description') }} as status_name,
    statuses.payment_received,
    statuses.deleted_at
from statuses
inner join integrations on statuses.integration = integrations.integration
where statuses.type = 'O'
