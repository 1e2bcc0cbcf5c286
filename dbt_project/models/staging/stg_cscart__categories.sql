with integrations as (
    select integration from {{ ref('stg_registry__integrations') }}
),

categories as (
    select * from {{ source('cscart', 'categories') }}
)

select
    categories.integration,
    categories.category_id,
    {{ cleaned('categories.category') }} as category
from categories
inner join integrations on categories.integration = integrations.integration
