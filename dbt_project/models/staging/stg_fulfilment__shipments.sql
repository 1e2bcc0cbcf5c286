{{ config(materialized='ephemeral') }}

with integrations as (
    select integration from {{ ref('stg_registry__integrations') }}
),

shipments as (
    select * from {{ source('fulfilment', 'shipments') }}
    where {{ in_scope() }}
)

select
    shipments.integration,
    shipments.order_number,
    shipments.tracking_number,
    shipments.sku,
    shipments.journal_id,
    shipments.received_at
from shipments
inner join integrations on shipments.integration = integrations.integration
