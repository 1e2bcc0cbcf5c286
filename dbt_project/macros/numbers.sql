{# Aggregates and numbers. PostgreSQL only, so that the models need not be. #}

{% macro count_if(condition) -%}
    count(*) filter (where {{ condition }})
{%- endmacro %}


{% macro sum_if(value, condition) -%}
    coalesce(sum({{ value }}) filter (where {{ condition }}), 0)
{%- endmacro %}


{% macro latest(value, order_by) -%}
    {#- The value that is not NULL in the row that comes last. -#}
    (array_agg({{ value }} order by {{ order_by }}) filter (where {{ value }} is not null))[1]
{%- endmacro %}


{% macro quantile(value, share) -%}
    {#- Type 7 of Hyndman and Fan, as R, NumPy and pandas do by default. The cast drops what is left
        of binary fractions beyond 15 digits: 3.0000000000000004 would not be equal to 3. -#}
    cast(percentile_cont({{ share }}) within group (order by {{ value }}) as numeric)
{%- endmacro %}


{% macro ratio(part, whole) -%}
    {#- numeric; NULL when there is nothing to divide by. -#}
    (cast({{ part }} as numeric) / nullif({{ whole }}, 0))
{%- endmacro %}


{% macro joined_text(list) -%}
    {#- An array as 'P,C'; NULL for one without elements. -#}
    nullif(array_to_string({{ list }}, ','), '')
{%- endmacro %}


{% macro is_in(value, list) -%}
    {#- Is it in a list like 'P,C'? In a list that is NULL is nothing. -#}
    coalesce({{ value }} = any(string_to_array({{ list }}, ',')), false)
{%- endmacro %}


{% macro score_of(value, cuts) -%}
    {#- 1 + the number of cuts that are not above the value: equal values get equal scores. -#}
    (1{% for cut in cuts %} + case when {{ cut }} <= {{ value }} then 1 else 0 end{% endfor %})
{%- endmacro %}


{% macro show_number(value) -%}
    {#- For people: at most two decimals, no trailing zeros. -#}
    cast(trim_scale(round(cast({{ value }} as numeric), 2)) as text)
{%- endmacro %}


{% macro show_rounded(value) -%}
    {#- For people: a figure of the whole list, so rounded that one more purchase hardly ever moves it. -#}
    cast(trim_scale(round(
        cast({{ value }} as numeric), case when abs({{ value }}) < 10 then 1 else 0 end
    )) as text)
{%- endmacro %}


{% macro show_days(days) -%}
    {#- For people: whole days that have passed, so that a text changes once a day. -#}
    cast(floor({{ days }}) as text)
{%- endmacro %}


{% macro percent(share) -%}
    {#- A share of the project's settings for people: 0.1 as '10 %'. -#}
    {{ '%g' | format(100 * share) }} %
{%- endmacro %}


{% macro show_day(moment, timezone='timezone') -%}
    to_char({{ local_time(moment, timezone) }}, 'YYYY-MM-DD')
{%- endmacro %}


{% macro text_of(values) -%}
    {#- A list of the project as 'P,C', for is_in. -#}
    '{{ values | join(",") }}'
{%- endmacro %}
