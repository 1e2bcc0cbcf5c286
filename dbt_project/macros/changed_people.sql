{# Whose rows a build computes. The orders, accounts and consents of a list are compared whole, by
   value; the people of rows that differ are in int_changed_people, and so are those with an order that
   entered or left a window of days since the last build. The rows of all others are what they would
   be, and are not read.

   A list is computed whole after a change of what all of it depends on (its settings, these models),
   after a build that did not finish, and with `--full-refresh`: see int_builds. dbt that is started by
   hand knows no version of the models, and computes all lists whole. #}

{% macro models_version() -%}
    {#- What the product says of these models; of a dbt started by hand nothing is known. -#}
    {{ return(env_var('CSCART_PIPELINES_DBT_MODELS', '') if execute else '') }}
{%- endmacro %}


{% macro lists_of_build() -%}
    {#- Keys for `in`: of lists that are computed whole, and of those that are not. Without one of the
        second kind all are computed whole. -#}
    {%- set builds = ref('int_builds') -%}
    {%- set whole, partial = [], [] -%}
    {%- if execute and not flags.FULL_REFRESH and models_version() -%}
    {%- for row in run_query(
        'select integration, is_whole from ' ~ builds ~ ' where ' ~ in_scope()
    ).rows -%}
        {%- do (whole if row[1] else partial).append("'" ~ row[0] ~ "'") -%}
    {%- endfor -%}
    {%- endif -%}
    {{ return({'whole': whole | join(', '), 'partial': partial | join(', ')}) }}
{%- endmacro %}


{% macro of_changed_people(relation=none) -%}
    {#- For `where`: rows of people to compute. -#}
    {%- set people = ref('int_changed_people') -%}
    {%- set lists = lists_of_build() -%}
    {%- set prefix = relation ~ '.' if relation else '' -%}
    {%- if not lists['partial'] -%}
    true
    {%- else -%}
    (
        ({{ prefix }}integration, {{ prefix }}identity) in (
            select changed.integration, changed.identity from {{ people }} as changed
            where {{ in_scope('changed') }}
        )
        {%- if lists['whole'] %}
        or {{ prefix }}integration in ({{ lists['whole'] }})
        {%- endif %}
    )
    {%- endif -%}
{%- endmacro %}


{% macro of_unidentified(relation=none) -%}
    {#- For `where`: rows without an identity, as far as they are not among those of changed people. Nothing
        says whether they have changed. A query of its own, with `union all`: PostgreSQL reads a whole
        table for either of two conditions, and an index for each. -#}
    {%- set prefix = relation ~ '.' if relation else '' -%}
    {%- set partial = lists_of_build()['partial'] -%}
    {%- if partial -%}
    ({{ prefix }}identity is null and {{ prefix }}integration in ({{ partial }}))
    {%- else -%}
    false
    {%- endif -%}
{%- endmacro %}


{% macro lists_to_record() -%}
    {#- Keys for `in`, of lists whose changed people this model has to name; '' if there is none. -#}
    {%- if model.config.meta.get('records_changed_people') -%}
    {{ return(lists_of_build()['partial']) }}
    {%- endif -%}
    {{ return('') }}
{%- endmacro %}


{% macro record_changed_people() -%}
    {#- In a materialization: those of the rows in `differing`, under the old and the new identity. Models
        that are built side by side may name the same people: a key would make one of them fail. -#}
    {%- set keys = lists_to_record() -%}
    {%- if keys -%}
    insert into {{ ref('int_changed_people') }} (integration, identity)
    select integration, identity from differing
    where integration in ({{ keys }}) and identity is not null
    union
    select kept_integration, kept_identity from differing
    where kept_integration in ({{ keys }}) and kept_identity is not null;
    {%- endif -%}
{%- endmacro %}


{% macro orders_of_last_build(model) -%}
    {#- int_orders or int_purchases as the last build left it. Both are made from what asks here, hence no
        ref. -#}
    {%- set built = adapter.get_relation(target.database, 'intermediate', model) if execute else none -%}
    {%- if built is none -%}
        (select
            cast(null as text) as integration,
            cast(null as text) as identity,
            cast(null as timestamp with time zone) as ordered_at
        where false)
    {%- else -%}
        {{ built }}
    {%- endif -%}
{%- endmacro %}


{% macro measure_changed_people() -%}
    {#- After people were recorded: without statistics the planner of the models that read them takes them
        for one, and compares each row with each. -#}
    {%- if lists_to_record() -%}
    ;
        analyze {{ ref('int_changed_people') }}
    {%- endif -%}
{%- endmacro %}


{% macro begin_builds() -%}
    {#- Before a run: a build that does not come to its end is followed by one that computes all. -#}
    {%- if execute and flags.WHICH in ('build', 'run') -%}
    {%- set builds = adapter.get_relation(target.database, 'intermediate', 'int_builds') -%}
    {%- if builds is not none -%}
    update {{ builds }} set was_finished = is_finished, is_finished = false where {{ in_scope() }}
    {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{% macro finish_builds(results) -%}
    {#- After a run: it counts if every model was built and no test has failed. -#}
    {%- if execute and flags.WHICH == 'build' and not flags.EMPTY and models_version() -%}
    {%- set built = [] -%}
    {%- for result in results if result.status in ('success', 'pass', 'warn') -%}
        {%- do built.append(result.node.unique_id) -%}
    {%- endfor -%}
    {%- set missing = [] -%}
    {%- for node in graph.nodes.values()
        if node.resource_type == 'model' and node.config.materialized == 'table_in_place'
        and node.unique_id not in built -%}
        {%- do missing.append(node.unique_id) -%}
    {%- endfor -%}
    {%- if not missing and built | length == results | length -%}
    update intermediate.int_builds set is_finished = true where {{ in_scope() }}
    {%- endif -%}
    {%- endif -%}
{%- endmacro %}
