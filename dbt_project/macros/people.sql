{# Who a row is about: e-mail addresses and phones. PostgreSQL only. #}

{% macro cleaned(text) -%}
    nullif(btrim({{ text }}, e' \t\r\n'), '')
{%- endmacro %}


{% macro identity_of(email) -%}
    {#- lower(trim(email)); dots and plus signs stay, they tell people apart. -#}
    lower({{ cleaned(email) }})
{%- endmacro %}


{% macro is_plausible_email(email) -%}
    coalesce({{ email }} ~ '^[^@[:space:]]+@[^@[:space:]]+\.[^@.[:space:]]{2,}$', false)
{%- endmacro %}


{% macro is_usable_phone(phone) -%}
    {#- At least seven digits, however they are set apart. -#}
    coalesce(length(regexp_replace({{ phone }}, '[^0-9]', '', 'g')) >= 7, false)
{%- endmacro %}
