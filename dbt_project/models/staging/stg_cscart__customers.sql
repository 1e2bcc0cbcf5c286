with integrations as (
    select integration from {{ ref('stg_registry__integrations') }}
),

customers as (
    select * from {{ source('cscart', 'customers') }}
),

contacts as (
    select * from {{ source('cscart', 'customer_contacts') }}
)

select
    customers.integration,
    customers.user_id,
    contacts.identity,
    contacts.email,
    contacts.mobile,
    contacts.faulty_email,
    {{ cleaned('customers.firstname') }} as firstname,
    {{ cleaned('customers.lastname') }} as lastname,
    customers.status,
    customers.registered_at,
    customers.deleted_at
from customers
inner join integrations on customers.integration = integrations.integration
left join contacts
    on
        customers.integration = contacts.integration
        and customers.user_id = contacts.user_id
