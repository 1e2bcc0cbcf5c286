select
    integration,
    list_name,
    timezone,
    currency,
    settled_statuses,
    refund_statuses,
    include_guests,
    status,
    status_reason,
    last_synced_at,
    created_at
from {{ source('registry', 'integrations') }}
