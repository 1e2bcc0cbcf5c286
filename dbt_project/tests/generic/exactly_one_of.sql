{# The segments are a partition: every subscriber that `population` holds for is in exactly one of
   them, and no other subscriber is in any. #}
{% test exactly_one_of(model, segments, population) %}
{{ config(tags=['daily']) }}
with counted as (
    select
        coalesce(facts.integration, members.integration) as integration,
        coalesce(facts.identity, members.identity) as identity,
        coalesce(facts.belongs, false) as belongs,
        coalesce(members.places, 0) as places
    from (
        select integration, identity, {{ population }} as belongs
        from {{ ref('customer_facts') }}
        where {{ in_scope() }}
    ) as facts
    full outer join (
        select integration, identity, count(*) as places
        from {{ model }}
        where segment in ('{{ segments | join("', '") }}')
        group by integration, identity
    ) as members
        on facts.integration = members.integration and facts.identity = members.identity
)

select * from counted
where places != case when belongs then 1 else 0 end
{% endtest %}
