with integrations as (
    select integration from {{ ref('stg_registry__integrations') }}
),

sites as (
    select * from {{ source('onsite', 'sites') }}
)

select
    sites.integration,
    sites.retention_days
from sites
inner join integrations on sites.integration = integrations.integration
