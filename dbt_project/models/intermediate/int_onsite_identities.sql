{{ config(indexes=[{'columns': ['integration', 'email_sha256']}]) }}

select
    integration,
    identity,
    {{ sha256_of('identity') }} as email_sha256
from {{ ref('int_subscribers') }}
where deleted_at is null
