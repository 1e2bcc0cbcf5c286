select
    integration,
    phase,
    rows_done,
    rows_total,
    phase_started_at,
    phase_started_rows,
    heartbeat_at
from {{ source('registry', 'sync_runs') }}
where state = 'running'
