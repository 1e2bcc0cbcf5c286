{{ config(indexes=[
    {'columns': ['integration', 'identity']},
    {'columns': ['integration', 'ordered_at']},
]) }}

-- depends_on: {{ ref('int_builds') }}, {{ ref('int_changed_people') }}
with orders as (
    select * from {{ ref('stg_cscart__orders') }}
    where {{ in_scope() }}
),

accounts as (
    select integration, user_id, email, mobile, faulty_email from {{ ref('stg_cscart__customers') }}
    where {{ in_scope() }}
),

statuses as (
    select * from {{ ref('stg_cscart__statuses') }}
    where {{ in_scope() }}
),

settings as (
    select * from {{ ref('int_shop_settings') }}
    where {{ in_scope() }}
),

identified as (
    select
        orders.*,
        {% set owners = ['accounts', 'orders'] if var('account_owns_orders')
            else ['orders', 'accounts'] %}
        coalesce(
            {% for contact in ['email', 'mobile', 'faulty_email'] -%}
            {{ owners[0] }}.{{ contact }}, {{ owners[1] }}.{{ contact }}{{ ',' if not loop.last }}
            {% endfor -%}
        ) as identity,
        settings.timezone,
        settings.currency,
        settings.settled_statuses,
        settings.refund_statuses,
        -- The shop's statuses do not name these two.
        case orders.status
            when 'N' then coalesce(statuses.status_name, 'Incomplete')
            when 'T' then coalesce(statuses.status_name, 'Parent order')
            else statuses.status_name
        end as status_name,
        not orders.is_parent_order
        and orders.status not in ('N', 'T')
        and orders.deleted_at is null as is_counted,
        not orders.is_parent_order
        and orders.status = 'N'
        and orders.deleted_at is null as is_incomplete
    from orders
    inner join settings on orders.integration = settings.integration
    left join accounts
        on
            orders.integration = accounts.integration
            and orders.customer_id = accounts.user_id
    left join statuses
        on
            orders.integration = statuses.integration
            and orders.status = statuses.status
),

classified as (
    select
        identified.*,
        is_counted and {{ is_in('status', 'settled_statuses') }} as is_purchase,
        is_counted and {{ is_in('status', 'refund_statuses') }} as is_refunded,
        is_counted
        and {{ is_in('status', text_of(var('cancelled_statuses'))) }} as is_cancelled,
        is_counted
        and {{ is_in('status', text_of(var('failed_payment_statuses'))) }} as is_failed_payment
    from identified
)

select
    integration,
    order_id,
    ordered_at,
    {{ local_date('ordered_at') }} as ordered_on,
    status,
    coalesce(status_name, status) as status_name,
    total,
    subtotal,
    discount,
    shipping_cost,
    tax_total,
    currency,
    customer_id,
    email,
    identity,
    firstname,
    lastname,
    mobile,
    country,
    is_parent_order,
    parent_order_id,
    is_counted,
    is_incomplete,
    is_purchase,
    is_refunded,
    is_cancelled,
    is_failed_payment,
    discount > 0 as is_discounted,
    updated_at,
    deleted_at
from classified
