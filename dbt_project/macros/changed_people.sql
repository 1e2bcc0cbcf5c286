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


{% macro whole_lists() -%}
    {#- The lists of the build, as {integration: is computed whole}; empty: all are. -#}
    {%- set builds = ref('int_builds') -%}
    {%- if not execute or flags.FULL_REFRESH or not models_version() -%}{{ return({}) }}{%- endif -%}
    {%- set whole = {} -%}
    {%- for row in run_query(
        'select integration, is_whole from ' ~ builds ~ ' where ' ~ in_scope()
    ).rows -%}
        {%- do whole.update({row[0]: row[1]}) -%}
    {%- endfor -%}
    {{ return(whole) }}
{%- endmacro %}


{% macro lists_that(are_whole) -%}
    {#- Keys for `in`, of lists that are computed whole, or of those that are not; '' if there is none. -#}
    {%- set keys = [] -%}
    {%- for key, is_whole in whole_lists().items() if is_whole == are_whole -%}
        {%- do keys.append("'" ~ key ~ "'") -%}
    {%- endfor -%}
    {{ return(keys | join(', ')) }}
{%- endmacro %}


{% macro of_changed_people(relation=none, or_unidentified=false) -%}
    {#- For `where`: rows of people to compute, and those without an identity if asked for. -#}
    {%- set people = ref('int_changed_people') -%}
    {%- set prefix = relation ~ '.' if relation else '' -%}
    {%- if not lists_that(are_whole=false) -%}
    true
    {%- else -%}
    (
        ({{ prefix }}integration, {{ prefix }}identity) in (
            select changed.integration, changed.identity from {{ people }} as changed
            where {{ in_scope('changed') }}
        )
        {%- if or_unidentified %}
        or {{ prefix }}identity is null
        {%- endif %}
        {%- if lists_that(are_whole=true) %}
        or {{ prefix }}integration in ({{ lists_that(are_whole=true) }})
        {%- endif %}
    )
    {%- endif -%}
{%- endmacro %}


{% macro records_people() -%}
    {#- Is there a list whose changed people this model has to name? -#}
    {{ return(
        model.config.meta.get('records_changed_people') and lists_that(are_whole=false) != ''
    ) }}
{%- endmacro %}


{% macro record_changed_people() -%}
    {#- In a materialization: those of the rows in `differing`, under the old and the new identity. Models
        that are built side by side may name the same people: a key would make one of them fail. -#}
    {%- if records_people() -%}
    {%- set keys = lists_that(are_whole=false) -%}
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
    {#- Without statistics the planner takes them for one, and compares each row with each. -#}
    {%- if lists_that(are_whole=false) -%}
    {%- do run_query('analyze ' ~ ref('int_changed_people')) -%}
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
