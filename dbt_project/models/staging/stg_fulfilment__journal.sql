{{ config(materialized='ephemeral') }}

with integrations as (
    select integration from {{ ref('stg_registry__integrations') }}
),

journal as (
    select * from {{ source('fulfilment', 'journal') }}
    where {{ in_scope() }}
)

select
    journal.integration,
    journal.id as journal_id,
    journal.kind,
    journal.state,
    journal.order_id,
    journal.run_id,
    journal.finished_at,
    {{ moment_in('journal.plan', 'shipped_at') }} as shipped_at,
    {{ pieces_in('journal.plan', 'quantities') }} as pieces,
    {{ pieces_in('journal.before', 'left') }} as pieces_before,
    {{ number_in('journal.plan', 'amount') }} as amount,
    {{ number_in('journal.before', 'amount') }} as amount_before,
    {{ is_in_json('journal.plan', 'undo_of') }} as is_undo
from journal
inner join integrations on journal.integration = integrations.integration
