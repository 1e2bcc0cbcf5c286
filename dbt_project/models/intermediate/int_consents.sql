-- depends_on: {{ ref('int_builds') }}, {{ ref('int_changed_people') }}
with address_hashes as (
    select * from {{ ref('stg_cscart__email_addresses') }}
    where {{ in_scope() }}
),

consents as (
    select * from {{ ref('stg_onsite__consents') }}
    where {{ in_scope() }}
),

ranked as (
    select
        address_hashes.integration,
        address_hashes.identity,
        consents.granted,
        row_number() over (
            partition by address_hashes.integration, address_hashes.identity
            order by consents.said_at desc, consents.granted asc
        ) as place
    from consents
    inner join address_hashes
        on
            consents.integration = address_hashes.integration
            and consents.email_sha256 = address_hashes.email_sha256
)

select
    integration,
    identity,
    granted
from ranked
where place = 1
