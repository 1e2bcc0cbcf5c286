{{ config(materialized='ephemeral') }}

with settings as (
    select * from {{ ref('int_shop_settings') }}
    where {{ in_scope() }}
),

orders as (
    select integration, order_id, ordered_at from {{ ref('int_orders') }}
    where {{ in_scope() }}
),

-- What is surely in the shop, and was before the moment the build looks at.
written as (
    select
        journal.*,
        settings.timezone,
        settings.as_of
    from {{ ref('stg_fulfilment__journal') }} as journal
    inner join settings on journal.integration = settings.integration
    where journal.state = 'verified' and journal.finished_at < settings.as_of
),

inbox as (
    select
        integration,
        journal_id,
        min(received_at) as received_at
    from {{ ref('stg_fulfilment__shipments') }}
    where journal_id is not null
    group by integration, journal_id
),

parcels as (
    select
        written.*,
        inbox.received_at,
        first_value(written.run_id) over first_parcel as first_run_id,
        first_value(written.pieces_before) over first_parcel as pieces_to_ship
    from written
    left join inbox
        on
            written.integration = inbox.integration
            and written.journal_id = inbox.journal_id
    where written.kind = 'shipment'
    window first_parcel as (
        partition by written.integration, written.order_id
        order by written.finished_at, written.journal_id
    )
),

of_parcels as (
    select
        integration,
        avg({{ seconds_between('received_at', 'finished_at') }} / 60) as tracking_lag_minutes
    from parcels
    where {{ in_last_days('finished_at', var('metric_days')) }}
    group by integration
),

shipped_orders as (
    select
        integration,
        order_id,
        timezone,
        as_of,
        pieces_to_ship,
        min(finished_at) as first_finished_at,
        min(coalesce(shipped_at, finished_at)) as shipped_at,
        {{ sum_if('pieces', 'run_id = first_run_id') }} as pieces_of_first_push
    from parcels
    group by integration, order_id, timezone, as_of, pieces_to_ship
),

of_orders as (
    select
        shipped_orders.integration,
        count(*) as shipped_orders,
        {{ count_if('shipped_orders.pieces_of_first_push < shipped_orders.pieces_to_ship') }}
            as partly_shipped_orders,
        avg(
            {{ seconds_between('orders.ordered_at', 'shipped_orders.shipped_at') }} / 3600
        ) as hours_order_to_ship
    from shipped_orders
    left join orders
        on
            shipped_orders.integration = orders.integration
            and shipped_orders.order_id = orders.order_id
    where {{ in_last_days('shipped_orders.first_finished_at', var('metric_days')) }}
    group by shipped_orders.integration
),

of_stock as (
    select
        integration,
        avg(abs(amount - amount_before)) as stock_drift
    from written
    where
        kind = 'stock' and not is_undo
        and {{ in_last_days('finished_at', var('metric_days')) }}
    group by integration
)

select
    settings.integration,
    of_orders.hours_order_to_ship,
    {{ ratio('of_orders.partly_shipped_orders', 'of_orders.shipped_orders') }}
        as partial_shipment_rate,
    of_parcels.tracking_lag_minutes,
    of_stock.stock_drift
from settings
left join of_orders on settings.integration = of_orders.integration
left join of_parcels on settings.integration = of_parcels.integration
left join of_stock on settings.integration = of_stock.integration
where coalesce(of_orders.integration, of_parcels.integration, of_stock.integration) is not null
