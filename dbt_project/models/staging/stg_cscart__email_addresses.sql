with integrations as (
    select integration from {{ ref('stg_registry__integrations') }}
),

addresses as (
    select * from {{ source('cscart', 'email_addresses') }}
    where address is not null
),

-- A browser knows the address as it was typed, the shop may have more around it.
hashed as (
    select integration, address as identity, written_sha256 as email_sha256 from addresses
    union all
    select integration, address as identity, address_sha256 as email_sha256 from addresses
    where address_sha256 <> written_sha256
)

select
    hashed.integration,
    hashed.identity,
    hashed.email_sha256
from hashed
inner join integrations on hashed.integration = integrations.integration
