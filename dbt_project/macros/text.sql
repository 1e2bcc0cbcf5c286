{# Text as a shop keeps it. Who a row is about is read in Python, before the build. #}

{% macro cleaned(text) -%}
    nullif(btrim({{ text }}, e' \t\r\n'), '')
{%- endmacro %}
