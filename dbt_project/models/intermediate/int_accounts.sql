-- depends_on: {{ ref('int_builds') }}, {{ ref('int_changed_people') }}
with accounts as (
    select * from {{ ref('stg_cscart__customers') }}
    where {{ in_scope() }} and identity is not null
),

ranked as (
    select
        accounts.*,
        row_number() over (
            partition by integration, identity
            order by
                case when deleted_at is null then 0 else 1 end,
                registered_at asc nulls last,
                user_id asc
        ) as place
    from accounts
)

select
    integration,
    identity,
    user_id,
    email,
    mobile,
    firstname,
    lastname,
    registered_at,
    deleted_at
from ranked
where place = 1
