with integrations as (
    select integration from {{ ref('stg_registry__integrations') }}
),

visitors as (
    select * from {{ source('onsite', 'visitors') }}
)

select
    visitors.integration,
    visitors.visitor_id,
    visitors.email_sha256,
    visitors.first_at,
    visitors.last_at
from visitors
inner join integrations on visitors.integration = integrations.integration
