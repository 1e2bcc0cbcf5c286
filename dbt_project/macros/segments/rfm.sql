{# The groups of the R x F grid; which cell is in which group is in int_rfm_scores. #}

{% macro segments_rfm(aspect) -%}
    {%- for key, cells in [
        ('hibernating', '[1-2][1-2]'),
        ('at_risk', '[1-2][3-4]'),
        ('cant_lose', '[1-2]5'),
        ('about_to_sleep', '3[1-2]'),
        ('need_attention', '33'),
        ('loyal_customers_rfm', '[3-4][4-5]'),
        ('promising', '41'),
        ('new_customers_rfm', '51'),
        ('potential_loyalist', '[4-5][2-3]'),
        ('champions_rfm', '5[4-5]'),
    ] %}
        {{ segment(
            aspect, key, "rfm_group = '" ~ key ~ "'",
            "'R ' || recency_score || ', F ' || frequency_score || ', M ' || monetary_score",
            'RFM scores R and F are ' ~ cells, 'rfm'
        ) }}
    {%- endfor %}
{%- endmacro %}
