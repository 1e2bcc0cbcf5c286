{# Segments by how much people spend. #}

{% macro segments_value(aspect) -%}
    {%- set sd, low, high = var('outlier_sd'), var('aov_low_factor'), var('aov_high_factor') -%}
    {%- set by_aov -%}
        'average order ' || {{ show_number('aov') }} || ', of the list '
        || {{ show_number('list_aov') }}
    {%- endset -%}
    {{ segment(
        aspect, 'vip', 'is_vip',
        show_number('rev_365') ~ " || ' in " ~ var('value_days') ~ " days, '
        || n_365 || ' purchases; ' || " ~ show_number('rev_net') ~ " || ' in all'",
        'Spent more in ' ~ var('value_days') ~ ' days than the mean of the buyers plus ' ~ sd
        ~ ' SD, with at least as many purchases as their mean; if none qualify, the top '
        ~ var('vip_top_share') ~ ' of the buyers by net revenue'
    ) }}
    {{ segment(
        aspect, 'small_spenders', 'is_small_spender',
        show_number('rev_365') ~ " || ' in " ~ var('value_days') ~ " days, average order ' || "
        ~ show_number('aov'),
        'Spent less in ' ~ var('value_days') ~ ' days than the mean of the buyers minus ' ~ sd
        ~ ' SD; if that is not above zero, the bottom ' ~ var('small_spender_share')
        ~ ' of the buyers by average order value'
    ) }}
    {{ segment(
        aspect, 'aov_low', "aov_band = 'low'", by_aov,
        'Average order value below ' ~ low ~ ' times that of the list', 'aov'
    ) }}
    {{ segment(
        aspect, 'aov_mid', "aov_band = 'mid'", by_aov,
        'Average order value from ' ~ low ~ ' up to ' ~ high ~ ' times that of the list', 'aov'
    ) }}
    {{ segment(
        aspect, 'aov_high', "aov_band = 'high'", by_aov,
        'Average order value above ' ~ high ~ ' times that of the list', 'aov'
    ) }}
    {{ segment(
        aspect, 'at_risk_high_value',
        "(pace = 'overdue' or lifecycle = 'at_risk') and (is_vip or m = 5)",
        because_last_purchase() ~ " || '; spent ' || " ~ show_number('revenue'),
        'Overdue or at risk by lifecycle, and VIP or RFM M = 5'
    ) }}
{%- endmacro %}
