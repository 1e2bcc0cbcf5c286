{# Segments by how people buy: undone orders, discounts, checkouts left behind. #}

{% macro segments_habits(aspect) -%}
    {{ segment(
        aspect, 'refund_or_cancel_prone',
        'n_all >= ' ~ var('prone_min_orders') ~ ' and undone_share >= ' ~ var('prone_share'),
        "n_cancelled || ' cancelled and ' || refunded || ' refunded of ' || n_all || ' orders'",
        'At least ' ~ var('prone_min_orders') ~ ' orders, at least ' ~ var('prone_share')
        ~ ' of them cancelled or refunded'
    ) }}
    {{ segment(
        aspect, 'discount_seekers',
        'n >= ' ~ var('discount_min_purchases') ~ ' and n_discounted > 0 and '
        ~ '(coalesce(discounted_share >= discount_share_limit, false) or discounted_share >= '
        ~ var('discount_share') ~ ')',
        "n_discounted || ' of ' || n || ' purchases with a discount'",
        'At least ' ~ var('discount_min_purchases') ~ ' purchases; the share bought with a discount'
        ~ ' is at least the mean of the buyers plus ' ~ var('outlier_sd') ~ ' SD, or '
        ~ var('discount_share')
    ) }}
    {{ segment(
        aspect, 'abandoned_checkout', 'abandoned_at is not null',
        "'checkout left ' || " ~ show_day('abandoned_at'),
        'An incomplete order in the last ' ~ var('abandoned_days') ~ ' days, and no purchase within '
        ~ var('checkout_recovery_hours') ~ ' hours after it'
    ) }}
{%- endmacro %}
