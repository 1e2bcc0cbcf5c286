{# What browsers tell: lists of products, numbers that come as text. PostgreSQL only, and nothing here
   may fail, whatever a browser has sent. #}

{% macro last_built_days() -%}
    {#- Up to which day onsite_daily was built, as (integration, list_since, day). The table is made
        from what asks here, hence no ref. -#}
    {%- set built = adapter.get_relation(target.database, target.schema, 'onsite_daily')
        if execute else none -%}
    {%- if built is none -%}
        (select
            cast(null as text) as integration,
            cast(null as timestamp with time zone) as list_since,
            cast(null as date) as day
        where false)
    {%- else -%}
        (select integration, list_since, max(day) as day from {{ built }} group by 1, 2)
    {%- endif -%}
{%- endmacro %}


{% macro number_of(text) -%}
    {#- An id of the shop; NULL for what is none. -#}
    (case when {{ text }} ~ '^[0-9]{1,18}$' then cast({{ text }} as bigint) end)
{%- endmacro %}


{% macro numbered(number, text) -%}
    {#- Sorts by the number: at most ten digits. -#}
    lpad(cast({{ number }} as text), 10, '0') || {{ text }}
{%- endmacro %}


{% macro without_number(text) -%}
    substr({{ text }}, 11)
{%- endmacro %}


{% macro each_item(items) -%}
    {#- For `cross join lateral`: product_id, sku and pieces as they were told. -#}
    (select
        {{ cleaned("spine.item ->> 'product_id'") }} as product_id,
        {{ cleaned("spine.item ->> 'sku'") }} as sku,
        case
            when spine.item ->> 'quantity' ~ '^[0-9]{1,9}([.][0-9]{1,6})?$'
                then cast(spine.item ->> 'quantity' as numeric)
            else 1
        end as quantity
    from jsonb_array_elements(
        case when jsonb_typeof({{ items }}) = 'array' then {{ items }} else '[]' end
    ) as spine (item))
{%- endmacro %}
