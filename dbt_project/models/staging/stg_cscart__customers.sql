with integrations as (
    select integration from {{ ref('stg_registry__integrations') }}
),

customers as (
    select * from {{ source('cscart', 'customers') }}
)

select
    customers.integration,
    customers.user_id,
    {{ identity_of('customers.email') }} as identity,
    {{ cleaned('customers.email') }} as email,
    {{ cleaned('customers.firstname') }} as firstname,
    {{ cleaned('customers.lastname') }} as lastname,
    {{ cleaned('customers.phone') }} as phone,
    customers.status,
    customers.registered_at,
    customers.deleted_at
from customers
inner join integrations on customers.integration = integrations.integration
