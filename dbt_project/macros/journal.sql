{# What the journal of writes to a shop keeps as JSON. PostgreSQL only. #}

{% macro number_in(json, name) -%}
    cast({{ json }} ->> '{{ name }}' as numeric)
{%- endmacro %}


{% macro moment_in(json, name) -%}
    cast({{ json }} ->> '{{ name }}' as timestamp with time zone)
{%- endmacro %}


{% macro is_in_json(json, name) -%}
    ({{ json }} ? '{{ name }}')
{%- endmacro %}


{% macro pieces_in(json, name) -%}
    {#- The sum of {item: pieces}; NULL where there are none. -#}
    (select sum(cast(each.pieces as numeric))
    from jsonb_each_text({{ json }} -> '{{ name }}') as each (item, pieces))
{%- endmacro %}
