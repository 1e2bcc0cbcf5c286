select
    integration,
    identity,
    email,
    mobile,
    email_subscribed,
    mobile_subscribed,
    firstname,
    lastname,
    customer_id,
    is_guest,
    country,
    registered_at,
    subscribed_at,
    deleted_at
from {{ ref('int_subscribers') }}
