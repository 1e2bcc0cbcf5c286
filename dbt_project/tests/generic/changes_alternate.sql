{# A log of changes starts with `entered` and never says the same twice in a row. #}
{% test changes_alternate(model) %}
{{ config(tags=['daily']) }}
with log as (
    select * from {{ model }}
),

paired as (
    select
        log.*,
        lag(change, 1, 'left') over (
            partition by integration, segment, identity, coalesce(category, '')
            order by changed_at
        ) as change_before
    from log
)

select * from paired
where change = change_before or change not in ('entered', 'left')
{% endtest %}
