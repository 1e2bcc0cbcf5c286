{# Segments by how people buy: undone orders, discounts, checkouts left behind. #}

{% macro segments_habits(aspect) -%}
    {{ segment(
        aspect, 'refund_or_cancel_prone',
        'orders >= ' ~ var('prone_min_orders') ~ ' and cancelled_or_refunded_share >= ' ~ var('prone_share'),
        "cancelled_orders || ' cancelled and ' || refunded_orders || ' refunded of ' || orders || ' orders'",
        'At least ' ~ var('prone_min_orders') ~ ' orders, at least ' ~ percent(var('prone_share'))
        ~ ' of them cancelled or refunded'
    ) }}
    {{ segment(
        aspect, 'discount_seekers',
        'purchases >= ' ~ var('discount_min_purchases') ~ ' and discounted_purchases > 0 and '
        ~ '(coalesce(discounted_share >= discount_share_limit, false) or discounted_share >= '
        ~ var('discount_share') ~ ')',
        "discounted_purchases || ' of ' || purchases || ' purchases with a discount'",
        'At least ' ~ var('discount_min_purchases') ~ ' purchases; the share bought with a discount'
        ~ ' is at least the mean of the buyers plus ' ~ var('outlier_sd') ~ ' SD, or '
        ~ percent(var('discount_share'))
    ) }}
    {{ segment(
        aspect, 'abandoned_checkout', 'abandoned_at is not null',
        "'checkout left ' || " ~ show_day('abandoned_at'),
        'An incomplete order in the last ' ~ var('abandoned_days') ~ ' days, and no purchase within '
        ~ var('checkout_recovery_hours') ~ ' hours after it'
    ) }}
{%- endmacro %}
