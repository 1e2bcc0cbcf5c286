{# A view that keeps its place: what others have built on it, and its grants, stay.

   dbt's own view is a new one that takes the old one's name, and drops the old one with all that
   stands on it. Here it is replaced where its definition has changed, and left alone otherwise: a
   replacement waits for readers, and readers wait for it. New columns come last, whatever their
   place in the model, since PostgreSQL allows no other place. A column that the model loses stays,
   and is NULL. Only a changed type makes it anew, which PostgreSQL refuses, with the name of the
   view, where a view uses it. `--empty` leaves a view that is there alone: the views are read by
   people, and `ref` would give them no rows. #}

{% materialization view_in_place, adapter='postgres' -%}
    {%- set target_relation = this.incorporate(type='view') -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {{ write_view_unless_fitted(target_relation, sql) }}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}


{% macro write_view_unless_fitted(target_relation, sql) -%}
    {%- if not columns_if_fitted(target_relation, sql) -%}
    {{ write_view(target_relation, sql) }}
    {%- endif -%}
{%- endmacro %}


{% macro write_view(target_relation, sql) -%}
    {%- do lock_definition(target_relation) -%}
    {%- if config.get('contract').enforced -%}
        {%- do get_assert_columns_equivalent(sql) -%}
    {%- endif -%}
    {%- set columns = columns_of(sketched(sql)) -%}
    {%- set kind = kind_of(target_relation) -%}
    {%- set present = columns_of(target_relation) if kind == 'v' else {} -%}
    {%- set definition = sql -%}
    {%- if present and present.keys() | list != columns.keys() | list -%}
        {%- set definition = with_columns_of(present, columns, sql) -%}
        {%- set columns = columns_of(sketched(definition)) -%}
    {%- endif -%}
    {%- set retyped = [] -%}
    {%- for name, type in present.items() if columns[name] != type -%}
        {%- do retyped.append(name) -%}
    {%- endfor -%}

    {% call statement('main') -%}
        {% if present and flags.EMPTY -%}
        select 0
        {%- elif not present or retyped -%}
        {%- if kind -%}
        drop {{ {'r': 'table', 'm': 'materialized view'}.get(kind, 'view') }} {{ target_relation }};
        {%- endif -%}
        create view {{ target_relation }} as
            {{ definition }}
        {%- elif is_as_sketched(target_relation) -%}
        select 0
        {%- else -%}
        create or replace view {{ target_relation }} as
            {{ definition }}
        {%- endif %}
    {%- endcall %}
    {%- do run_query('drop view pg_temp.sketch') -%}
    {%- do record_fit(target_relation, columns, sql) -%}
{%- endmacro %}


{% macro with_columns_of(present, columns, sql) -%}
    select
    {%- for name, type in present.items() %}
        {{ adapter.quote(name) if name in columns else 'cast(null as ' ~ type ~ ') as ' ~ adapter.quote(name) }}
        {{- ',' if not loop.last }}
    {%- endfor %}
    {%- for name in columns if name not in present %},
        {{ adapter.quote(name) }}
    {%- endfor %}
    from (
        {{ sql }}
    ) as model
{%- endmacro %}


{% macro is_as_sketched(target_relation) -%}
    {%- set found = run_query(
        "select pg_get_viewdef('" ~ target_relation ~ "'::regclass)"
        ~ " = pg_get_viewdef('pg_temp.sketch'::regclass)"
    ) -%}
    {{ return(found.rows[0][0]) }}
{%- endmacro %}
