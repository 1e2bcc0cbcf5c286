with subscribers as (
    select integration, identity from {{ ref('int_subscribers') }}
    where {{ in_scope() }} and deleted_at is null
),

address_hashes as (
    select * from {{ ref('stg_cscart__email_addresses') }}
    where {{ in_scope() }}
)

select
    subscribers.integration,
    subscribers.identity,
    address_hashes.email_sha256
from subscribers
inner join address_hashes
    on
        subscribers.integration = address_hashes.integration
        and subscribers.identity = address_hashes.identity
