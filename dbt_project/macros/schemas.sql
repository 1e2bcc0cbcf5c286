{# Where relations live and which rows a build leaves alone. How they are rewritten is in
   `materializations`. #}

{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- The schema is the name the project gives it, without the target's name in front. -#}
    {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}


{% macro and_not_kept() -%}
    {#- What a build does not look at stays: history, and days before those that it makes anew. -#}
    {%- if model.config.meta.get('keeps_history') %}
    and not exists (
        select 1
        from {{ ref('int_shop_settings') }} as settings
        where settings.integration = kept.integration and settings.list_since = kept.list_since
    )
    {%- elif model.config.meta.get('keeps_days') %}
    and not exists (
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
{%- endmacro %}

