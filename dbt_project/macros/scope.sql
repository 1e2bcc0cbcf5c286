{# The integrations that a build is for. A build of some reads, locks and writes the rows of these
   alone; a build that names none is for all that are connected.

   They come by the environment: dbt would parse the whole project again for every other list in
   `--vars`. Read while a model runs, not while it is parsed, for the same reason. #}

{% macro scope_of_build() -%}
    {#- Keys of integrations, sorted; empty: all. A key is made of a-z, 0-9 and -. -#}
    {%- if not execute -%}{{ return([]) }}{%- endif -%}
    {%- set keys = env_var('CSCART_PIPELINES_DBT_INTEGRATIONS', '').split(',') | select | list -%}
    {%- for key in keys if not modules.re.match('^[a-z0-9][a-z0-9-]*$', key) -%}
        {{ exceptions.raise_compiler_error("no key of an integration: " ~ key) }}
    {%- endfor -%}
    {{ return(keys | sort) }}
{%- endmacro %}


{% macro in_scope(relation=none) -%}
    {#- For `where`: rows of the build's integrations. One is compared by =, which PostgreSQL carries
        over to what is joined. -#}
    {%- set keys = scope_of_build() -%}
    {%- set column = (relation ~ '.' if relation else '') ~ 'integration' -%}
    {%- if not keys -%}
    true
    {%- elif keys | length == 1 -%}
    {{ column }} = '{{ keys[0] }}'
    {%- else -%}
    {{ column }} in ('{{ keys | join("', '") }}')
    {%- endif -%}
{%- endmacro %}


{% macro get_where_subquery(relation) -%}
    {#- What a data test reads, dbt's own hook: the rows of the build's integrations. A test with a
        `where` of its own says itself what it reads. -#}
    {%- set where = config.get('where') or in_scope() -%}
    {%- if where == 'true' -%}
    {{ relation }}
    {%- else -%}
    (select * from {{ relation }} where {{ where }}) as dbt_subquery
    {%- endif -%}
{%- endmacro %}
