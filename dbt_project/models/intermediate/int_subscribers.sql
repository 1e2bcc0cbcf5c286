with own_accounts as (
    select * from {{ ref('int_accounts') }}
    where {{ in_scope() }} and {{ of_changed_people() }}
),

orders as (
    select * from {{ ref('int_orders') }}
    where {{ in_scope() }} and {{ of_changed_people() }}
),

account_identities as (
    select * from {{ ref('int_account_identities') }}
    where {{ in_scope() }} and {{ of_changed_people() }}
),

settings as (
    select * from {{ ref('int_shop_settings') }}
    where {{ in_scope() }}
),

consents as (
    select * from {{ ref('int_consents') }}
    where {{ in_scope() }} and {{ of_changed_people() }}
),

contacts as (
    select
        integration,
        identity,
        min(ordered_at) as first_ordered_at,
        max(ordered_at) as last_ordered_at,
        {{ latest('email', 'ordered_at desc, order_id desc') }} as email,
        {{ latest('firstname', 'ordered_at desc, order_id desc') }} as firstname,
        {{ latest('lastname', 'ordered_at desc, order_id desc') }} as lastname,
        {{ latest('country', 'ordered_at desc, order_id desc') }} as country,
        {{ latest('mobile', 'ordered_at desc, order_id desc') }} as mobile
    from orders
    where is_counted and identity is not null
    group by integration, identity
),

-- Behind an address that no account has may still be an account that ordered with it.
ranked_bridges as (
    select
        integration,
        identity,
        user_id,
        row_number() over (
            partition by integration, identity
            order by last_ordered_at desc nulls last, user_id asc
        ) as place
    from account_identities
    where account_is_live and not is_account_email
),

bridges as (
    select * from ranked_bridges
    where place = 1
),

everyone as (
    select integration, identity from own_accounts
    union
    select integration, identity from contacts
),

joined as (
    select
        everyone.integration,
        everyone.identity,
        settings.include_guests,
        own_accounts.identity is not null
        -- Removed from the shop, then ordered again: a guest from now on.
        and not coalesce(
            settings.include_guests and contacts.last_ordered_at > own_accounts.deleted_at, false
        ) as has_account,
        own_accounts.user_id as account_id,
        own_accounts.registered_at as account_registered_at,
        own_accounts.deleted_at as account_deleted_at,
        own_accounts.email as account_email,
        own_accounts.firstname as account_firstname,
        own_accounts.lastname as account_lastname,
        own_accounts.mobile as account_mobile,
        bridges.user_id as bridged_id,
        contacts.first_ordered_at,
        contacts.email as order_email,
        contacts.firstname as order_firstname,
        contacts.lastname as order_lastname,
        contacts.mobile as order_mobile,
        contacts.country
    from everyone
    inner join settings on everyone.integration = settings.integration
    left join own_accounts
        on
            everyone.integration = own_accounts.integration
            and everyone.identity = own_accounts.identity
    left join contacts
        on
            everyone.integration = contacts.integration
            and everyone.identity = contacts.identity
    left join bridges
        on
            everyone.integration = bridges.integration
            and everyone.identity = bridges.identity
),

resolved as (
    select
        integration,
        identity,
        case when has_account then account_id else bridged_id end as customer_id,
        case when has_account then account_registered_at end as registered_at,
        case when has_account then account_deleted_at end as deleted_at,
        case
            when has_account then coalesce(account_email, order_email)
            else coalesce(order_email, account_email)
        end as email,
        case
            when has_account then coalesce(account_firstname, order_firstname)
            else order_firstname
        end as firstname,
        case
            when has_account then coalesce(account_lastname, order_lastname)
            else order_lastname
        end as lastname,
        case
            when has_account then coalesce(account_mobile, order_mobile) else order_mobile
        end as mobile,
        country,
        -- With guests in the list, a guest who registers has been in it since the first order.
        case
            when include_guests or not has_account
                then least(
                    case when has_account then account_registered_at end, first_ordered_at
                )
            else coalesce(account_registered_at, first_ordered_at)
        end as subscribed_at
    from joined
    where has_account or include_guests
)

select
    resolved.integration,
    resolved.identity,
    resolved.email,
    resolved.mobile,
    -- A person who gave an address is subscribed, until they say otherwise.
    resolved.email is not null and coalesce(consents.granted, true) as email_subscribed,
    resolved.mobile is not null as mobile_subscribed,
    resolved.firstname,
    resolved.lastname,
    resolved.customer_id,
    resolved.customer_id is null as is_guest,
    resolved.country,
    resolved.registered_at,
    resolved.subscribed_at,
    resolved.deleted_at
from resolved
left join consents
    on
        resolved.integration = consents.integration
        and resolved.identity = consents.identity
