{# Apifon's seven prebuilt e-commerce segments. #}

{% macro segments_apifon(aspect) -%}
    {%- set recent, long = var('recent_days'), var('recent_long_days') -%}
    {{ segment(
        aspect, 'new_customers', 'is_newly_registered',
        "'registered ' || " ~ show_day('registered_at'),
        'Registered in the shop in the last ' ~ var('new_customer_days') ~ ' days'
    ) }}
    {{ segment(
        aspect, 'recent_buyers_30', 'purchases_30d >= 1', because_last_purchase(),
        'A purchase in the last ' ~ recent ~ ' days', 'recency_30'
    ) }}
    {{ segment(
        aspect, 'recent_buyers_90', 'purchases_90d >= 1', because_last_purchase(),
        'A purchase in the last ' ~ long ~ ' days', 'recency_90'
    ) }}
    {{ segment(
        aspect, 'non_buyers_30', 'purchases_30d = 0', because_last_purchase(),
        'In the list, no purchase in the last ' ~ recent ~ ' days or ever',
        'recency_30'
    ) }}
    {{ segment(
        aspect, 'non_buyers_90', 'purchases_90d = 0', because_last_purchase(),
        'In the list, no purchase in the last ' ~ long ~ ' days or ever',
        'recency_90'
    ) }}
    {{ segment(
        aspect, 'frequent_buyers', 'purchases_365d >= ' ~ var('frequent_purchases'),
        "purchases_365d || ' purchases in " ~ var('frequent_days') ~ " days'",
        'At least ' ~ var('frequent_purchases') ~ ' purchases in the last '
        ~ var('frequent_days') ~ ' days'
    ) }}
    {{ segment(
        aspect, 'lapsed_customers', 'is_buyer and days_since_last_purchase > ' ~ var('lapsed_days'),
        because_last_purchase(),
        'Has purchased, but not in the last ' ~ var('lapsed_days') ~ ' days'
    ) }}
{%- endmacro %}
