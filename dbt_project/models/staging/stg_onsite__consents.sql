with integrations as (
    select integration from {{ ref('stg_registry__integrations') }}
),

consents as (
    select * from {{ source('onsite', 'consents') }}
),

ranked as (
    select
        integration,
        email_sha256,
        granted,
        at,
        row_number() over (
            partition by integration, email_sha256
            order by at desc, id desc
        ) as place
    from consents
)

select
    ranked.integration,
    ranked.email_sha256,
    ranked.granted,
    ranked.at as said_at
from ranked
inner join integrations on ranked.integration = integrations.integration
where ranked.place = 1
