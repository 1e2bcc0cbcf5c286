with subscribers as (
    select integration, identity from {{ ref('int_subscribers') }}
    where {{ in_scope() }} and deleted_at is null
),

address_hashes as (
    select * from {{ ref('stg_cscart__email_addresses') }}
    where {{ in_scope() }}
),

-- With each event that names an address the collector writes its visitor.
seen as (
    select distinct integration, email_sha256 from {{ ref('stg_onsite__visitors') }}
    where {{ in_scope() }}
)

-- Two spellings of an address may mean the same.
select distinct
    subscribers.integration,
    subscribers.identity,
    address_hashes.email_sha256
from seen
inner join address_hashes
    on
        seen.integration = address_hashes.integration
        and seen.email_sha256 = address_hashes.email_sha256
inner join subscribers
    on
        address_hashes.integration = subscribers.integration
        and address_hashes.identity = subscribers.identity
