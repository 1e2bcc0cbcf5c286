{# A seed is a view of its rows, in place like every other view: nothing is written while its file
   stays the same, and no reader finds it absent or empty. Every column is text. A cell may say `var`,
   as a model does. #}

{% materialization seed, adapter='postgres' -%}
    {%- set target_relation = this.incorporate(type='view') -%}
    {%- set rows = load_agate_table() -%}
    {%- do store_result('agate_table', response='OK', agate_table=rows) -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {{ write_view_unless_fitted(target_relation, query_of_rows(rows)) }}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}


{% macro query_of_rows(rows) -%}
    select * from (
        values
        {%- for row in rows.rows %}
        (
            {%- for cell in row -%}
            {%- if cell is none -%}
            cast(null as text)
            {%- else -%}
            cast({{ dbt.string_literal(dbt.escape_single_quotes(render(cell | string))) }} as text)
            {%- endif -%}
            {{ ', ' if not loop.last }}
            {%- endfor -%}
        ){{ ',' if not loop.last }}
        {%- endfor %}
    ) as rows ({{ quoted_columns(rows.column_names) }})
{%- endmacro %}
