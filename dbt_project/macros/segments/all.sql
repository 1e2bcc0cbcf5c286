{# The segments, each defined once: key, the partition it is part of, the definition in words, the
   rule (SQL over int_segment_inputs) and the reason a person is told. `segments(aspect)` writes one
   aspect of all of them:
     rule    ('key', condition), …            for VALUES
     reason  when 'key' then text …           for CASE
     words   ('key', 'part of', 'words'), …   for VALUES #}

{% macro segments(aspect) -%}
    {%- set written -%}
        {{ segments_apifon(aspect) }}
        {{ segments_purchases(aspect) }}
        {{ segments_value(aspect) }}
        {{ segments_timing(aspect) }}
        {{ segments_habits(aspect) }}
        {{ segments_onsite(aspect) }}
        {{ segments_rfm(aspect) }}
        {%- if aspect == 'words' -%}
            {#- Its rule is a model of its own, int_category_affinity: one row per category. -#}
            , ('category_affinity', null, 'At least {{ var("affinity_min_purchases") }} purchases in a category, which holds at least {{ var("affinity_min_share") }} of the lines bought')
        {%- endif -%}
    {%- endset -%}
    {{ (written | trim)[(1 if aspect != 'reason' else 0):] }}
{%- endmacro %}


{% macro segment(aspect, key, rule, reason, words, part_of=none) -%}
    {%- if aspect == 'rule' -%}
        , ('{{ key }}', {{ rule }})
    {%- elif aspect == 'reason' %}
        when '{{ key }}' then {{ reason }}
    {%- else -%}
        , ('{{ key }}', {{ "'" ~ part_of ~ "'" if part_of else 'cast(null as text)' }}, '{{ words }}')
    {%- endif %}
{% endmacro %}


{# --- reasons that many segments share --- #}

{% macro because_last_purchase() -%}
    case
        when purchases = 0 then 'never purchased'
        else 'last purchase ' || {{ show_day('last_purchase_at') }} || ', '
            || {{ show_days('days_since_last_purchase') }} || ' days ago'
    end
{%- endmacro %}


{% macro because_purchases() -%}
    purchases || case when purchases = 1 then ' purchase' else ' purchases' end
    || coalesce(', last ' || {{ show_day('last_purchase_at') }}, '')
{%- endmacro %}
