{# Segments by what people look at in the shop: known visitors only, see int_onsite_people. #}

{% macro segments_onsite(aspect) -%}
    {{ segment(
        aspect, 'viewed_not_purchased', 'viewed_at is not null',
        "'last viewed a product ' || " ~ show_day('viewed_at') ~ " || ', no order since'",
        'Viewed a product in the shop in the last ' ~ var('viewed_days')
        ~ ' days, and has ordered nothing since the last view'
    ) }}
    {{ segment(
        aspect, 'cart_abandoners', 'cart_left_at is not null',
        "'cart or checkout left ' || " ~ show_day('cart_left_at') ~ " || ', no order since'",
        'Put something into the cart or began a checkout from ' ~ var('cart_left_minutes')
        ~ ' minutes to ' ~ var('cart_left_days') ~ ' days ago, and has ordered nothing since'
    ) }}
{%- endmacro %}
