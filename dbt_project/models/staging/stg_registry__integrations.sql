select
    integration,
    list_name,
    timezone,
    currency,
    {{ joined_text('settled_statuses') }} as settled_statuses,
    {{ joined_text('refund_statuses') }} as refund_statuses,
    include_guests,
    status,
    status_reason,
    last_synced_at,
    created_at
from {{ source('registry', 'integrations') }}
