{# What the read-only role of the analysts may see: the schema of the marts and nothing else.
   The role is made by a migration; where that was not allowed, a build goes on without it. #}

{% macro _when_analysts_exist(statement, privilege) -%}
    {#- Only where it is missing: two builds that grant at the same moment would fail on it. -#}
    do $grant$
    begin
        if exists (select 1 from pg_roles where rolname = '{{ var("analyst_role") }}')
            and not {{ privilege }} then
            {{ statement }};
        end if;
    exception
        when insufficient_privilege then
            raise notice 'not allowed to grant to {{ var("analyst_role") }}';
    end
    $grant$
{%- endmacro %}


{% macro grant_to_analysts() -%}
    {{ _when_analysts_exist(
        "grant select on " ~ this ~ " to " ~ adapter.quote(var("analyst_role")),
        "has_table_privilege('" ~ var("analyst_role") ~ "', '" ~ this ~ "', 'select')"
    ) }}
{%- endmacro %}


{% macro open_schema_to_analysts() -%}
    {{ _when_analysts_exist(
        "grant usage on schema " ~ target.schema ~ " to " ~ adapter.quote(var("analyst_role")),
        "has_schema_privilege('" ~ var("analyst_role") ~ "', '" ~ target.schema ~ "', 'usage')"
    ) }}
{%- endmacro %}
