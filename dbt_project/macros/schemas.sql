{# Where relations live and how tables are replaced. Nothing about shops here. #}

{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- The schema is the name the project gives it, without the target's name in front. -#}
    {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}


{% macro empty_in_place() -%}
    {#- What a build does not look at stays: history, and days before those that it makes anew. -#}
    {#- Runs in the transaction of the insert that follows: readers see the old rows until it commits.
        The lock makes a second build wait, which would otherwise add its rows to ours. -#}
    {%- if is_incremental() -%}
        lock table {{ this }} in share row exclusive mode; delete from {{ this }} as kept
        {%- if model.config.meta.get('keeps_history') %}
        where not exists (
            select 1
            from {{ ref('int_shop_settings') }} as settings
            where settings.integration = kept.integration and settings.list_since = kept.list_since
        )
        {%- elif model.config.meta.get('keeps_days') %}
        where not exists (
            select 1
            from {{ ref('int_onsite_settings') }} as settings
            where
                settings.integration = kept.integration
                and settings.list_since = kept.list_since
                and kept.day < settings.first_day
                {%- if model.config.meta.get('keeps_days') == 'with_events' %}
                and kept.day >= settings.first_kept_day
                {%- endif %}
        )
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{% macro analyze_table() -%}
    {%- if model.config.materialized != 'view' -%} analyze {{ this }} {%- endif -%}
{%- endmacro %}
