with settings as (
    select * from {{ ref('int_shop_settings') }}
    where {{ in_scope() }}
),

-- What all rows of a list depend on. Another moment changes few of them, see int_changed_people.
current_inputs as (
    select
        integration,
        as_of,
        md5(concat_ws(
            '|',
            '{{ models_version() }}',
            timezone,
            currency,
            include_guests,
            settled_statuses,
            coalesce(refund_statuses, ''),
            list_since
        )) as inputs
    from settings
),

last_builds as (
    select * from {{ this }}
    where {{ in_scope() }}
)

select
    current_inputs.integration,
    current_inputs.inputs,
    current_inputs.as_of,
    last_builds.as_of as last_as_of,
    not coalesce(last_builds.was_finished and last_builds.inputs = current_inputs.inputs, false)
    {%- if not models_version() %} or true{% endif %} as is_whole,
    false as was_finished,
    false as is_finished
from current_inputs
left join last_builds on current_inputs.integration = last_builds.integration
