{{ config(materialized='view_in_place') }}

with activity as (
    select * from {{ ref('int_customer_activity') }}
),

gaps as (
    select * from {{ ref('int_purchase_gaps') }}
),

settings as (
    select * from {{ ref('int_shop_settings') }}
)

select
    activity.*,
    {{ days_between('activity.last_purchase_at', 'settings.as_of', 'settings.timezone') }}
        as days_since_last_purchase,
    gaps.gap_median as list_median_days_between_purchases
from activity
inner join settings on activity.integration = settings.integration
left join gaps on activity.integration = gaps.integration
