{# Segments by how much people spend. #}

{% macro segments_value(aspect) -%}
    {%- set sd, low, high = var('outlier_sd'), var('aov_low_factor'), var('aov_high_factor') -%}
    {%- set by_aov -%}
        'average order ' || {{ show_number('average_order_value') }} || ', of the list '
        || {{ show_number('list_average_order_value') }}
    {%- endset -%}
    {{ segment(
        aspect, 'vip', 'is_vip',
        show_number('revenue_365d') ~ " || ' in " ~ var('value_days') ~ " days, '
        || purchases_365d || ' purchases; ' || " ~ show_number('net_revenue') ~ " || ' in all'",
        'Spent more in ' ~ var('value_days') ~ ' days than the mean of the buyers plus ' ~ sd
        ~ ' SD, with at least as many purchases as their mean; if none qualify, the top '
        ~ percent(var('vip_top_share')) ~ ' of the buyers by net revenue'
    ) }}
    {{ segment(
        aspect, 'small_spenders', 'is_small_spender',
        show_number('revenue_365d') ~ " || ' in " ~ var('value_days') ~ " days, average order ' || "
        ~ show_number('average_order_value'),
        'Spent less in ' ~ var('value_days') ~ ' days than the mean of the buyers minus ' ~ sd
        ~ ' SD; if that is not above zero, the bottom '
        ~ percent(var('small_spender_share')) ~ ' of the buyers by average order value'
    ) }}
    {{ segment(
        aspect, 'aov_low', "order_value_band = 'low'", by_aov,
        'Average order value below ' ~ low ~ ' times that of the list', 'aov'
    ) }}
    {{ segment(
        aspect, 'aov_mid', "order_value_band = 'mid'", by_aov,
        'Average order value from ' ~ low ~ ' up to ' ~ high ~ ' times that of the list', 'aov'
    ) }}
    {{ segment(
        aspect, 'aov_high', "order_value_band = 'high'", by_aov,
        'Average order value above ' ~ high ~ ' times that of the list', 'aov'
    ) }}
    {{ segment(
        aspect, 'at_risk_high_value',
        "(pace = 'overdue' or lifecycle = 'at_risk') and (is_vip or monetary_score = 5)",
        because_last_purchase() ~ " || '; spent ' || " ~ show_number('revenue'),
        'Overdue or at risk by lifecycle, and VIP or RFM M = 5'
    ) }}
{%- endmacro %}
