{# A table that keeps its place: made once, rewritten for ever.

   dbt's own table is a new one that takes the old one's name, and drops the old one with the views
   that stand on it and the grants it had. Here the rows are replaced in one transaction, so that
   readers see the old rows until the new ones are there, also when the build is killed. A column
   that the model gains is added. One that it loses goes; where a view uses it, it stays, and is
   empty. A changed type is an ALTER, which PostgreSQL refuses, with the name of the view, where a
   view uses the column. `--full-refresh` is a build as any other. A changed primary key needs a
   migration.

   `rewrites` in the model's meta:
     connected  the rows of the integrations that the registry has; those of a removed one stay
     all        every row, by TRUNCATE: quicker, but readers wait. For tables that only builds read #}

{% materialization table_in_place, adapter='postgres' -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- set columns = fit_table(target_relation, sql) -%}

    {#- The lock comes before the transaction's first look at the data: a second build waits, and
        then sees what the first one wrote. One look for both statements: an integration that is
        removed between them would be deleted by the one and not written by the other. -#}
    {% call statement('main') -%}
        commit;
        begin isolation level repeatable read;
        lock table {{ target_relation }} in share row exclusive mode;
        {% if flags.EMPTY -%}
        select 0
        {%- else -%}
        {{ delete_what_is_rewritten(target_relation) }};
        insert into {{ target_relation }} ({{ quoted_columns(columns) }})
        select {{ quoted_columns(columns) }} from (
            {{ sql }}
        ) as model
        {%- if model.config.meta.get('rewrites') == 'connected' %}
        where model.integration in {{ connected_integrations() }}
        {%- endif -%}
        {%- endif %}
    {%- endcall %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}


{% macro connected_integrations() -%}
    (select live.integration from registry.integrations as live)
{%- endmacro %}


{% macro delete_what_is_rewritten(target_relation) -%}
    {%- if model.config.meta.get('rewrites') == 'all' -%}
    truncate {{ target_relation }}
    {%- else -%}
    delete from {{ target_relation }} as kept
    where kept.integration in {{ connected_integrations() }}{{ and_not_kept() }}
    {%- endif -%}
{%- endmacro %}


{% macro fit_table(target_relation, sql) -%}
    {#- Makes the table, or gives it the columns of the query, in a transaction of its own. Returns
        the columns. The query may read the table, so the table comes first. -#}
    {%- set contract = config.get('contract').enforced -%}
    {%- set kind = kind_of(target_relation) -%}
    {%- if kind in ('v', 'm') -%}
        {%- do run_query(
            'drop ' ~ ('materialized ' if kind == 'm' else '') ~ 'view ' ~ target_relation
        ) -%}
        {%- set kind = none -%}
    {%- endif -%}
    {%- if kind is none -%}
        {%- set made = 'create ' ~ ('unlogged ' if config.get('unlogged') else '')
            ~ 'table if not exists ' ~ target_relation -%}
        {%- do run_query(
            made ~ (get_table_columns_and_constraints() if contract
                else ' as\n' ~ sql ~ '\nwith no data')
        ) -%}
    {%- endif -%}
    {%- if contract -%}
        {%- do get_assert_columns_equivalent(sql) -%}
    {%- endif -%}
    {%- set columns = columns_of(sketched(sql)) -%}
    {%- set present = columns_of(target_relation) -%}
    {%- if present != columns -%}
        {%- do run_query(changes_of_columns(target_relation, present, columns)) -%}
    {%- endif -%}
    {%- for index in config.get('indexes', []) -%}
        {#- A name of its own, so that it is made once: to ask for one takes a lock, also in vain. -#}
        {%- set name = target_relation.identifier ~ '_' ~ index['columns'] | join('_') ~ '_idx' -%}
        {%- if kind_of(target_relation.incorporate(path={'identifier': name})) is none -%}
            {%- do run_query(
                'create ' ~ ('unique ' if index.get('unique') else '') ~ 'index if not exists '
                ~ adapter.quote(name) ~ ' on ' ~ target_relation
                ~ ' (' ~ quoted_columns(index['columns']) ~ ')'
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do run_query('drop view pg_temp.sketch') -%}
    {{ return(columns) }}
{%- endmacro %}


{% macro changes_of_columns(target_relation, present, columns) -%}
    {#- A new column may hold NULL, whatever the contract says: what is not rewritten has none. -#}
    do $change$
    begin
        {%- for name, type in columns.items() %}
        {%- if name not in present %}
        alter table {{ target_relation }} add column {{ adapter.quote(name) }} {{ type }};
        {%- elif present[name] != type %}
        alter table {{ target_relation }} alter column {{ adapter.quote(name) }} type {{ type }}
            using cast({{ adapter.quote(name) }} as {{ type }});
        {%- endif %}
        {%- endfor %}
        {%- for name in present if name not in columns %}
        begin
            alter table {{ target_relation }} drop column {{ adapter.quote(name) }};
        exception
            when dependent_objects_still_exist then
                alter table {{ target_relation }} alter column {{ adapter.quote(name) }}
                    drop not null;
        end;
        {%- endfor %}
    end
    $change$
{%- endmacro %}
