{# The columns that a relation has and those that a query gives, for the materializations of this
   folder. PostgreSQL only. #}

{% macro kind_of(relation) -%}
    {#- 'r' for a table, 'v' for a view, 'm' for a materialized view; none where there is no such
        relation. Asked of the database: dbt's cache is as old as the run. -#}
    {%- set found = run_query(
        "select relkind from pg_class where oid = to_regclass('" ~ relation ~ "')"
    ) -%}
    {{ return(found.rows[0][0] if found.rows else none) }}
{%- endmacro %}


{% macro columns_of(relation) -%}
    {#- Name to type, in the order of the relation; empty where there is no such relation. -#}
    {%- set found = run_query(
        "select attname, cast(atttypid as regtype) from pg_attribute where attrelid = to_regclass('"
        ~ relation ~ "') and attnum > 0 and not attisdropped order by attnum"
    ) -%}
    {%- set columns = {} -%}
    {%- for row in found.rows -%}
        {%- do columns.update({row[0]: row[1]}) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}


{% macro sketched(sql) -%}
    {#- A temporary view of the query, in the transaction at hand: its columns and its definition
        are what the model's would be. -#}
    {%- do run_query('drop view if exists pg_temp.sketch') -%}
    {%- do run_query('create temporary view sketch as\n' ~ sql) -%}
    {{ return('pg_temp.sketch') }}
{%- endmacro %}


{% macro quoted_columns(columns) -%}
    {%- set quoted = [] -%}
    {%- for name in columns -%}
        {%- do quoted.append(adapter.quote(name)) -%}
    {%- endfor -%}
    {{ return(quoted | join(', ')) }}
{%- endmacro %}


{% macro lock_definition(relation) -%}
    {#- Keeps other builds from changing the same relation's definition, until the transaction ends. -#}
    {%- do run_query("select pg_advisory_xact_lock(hashtextextended('define " ~ relation ~ "', 0))") -%}
{%- endmacro %}
