{# Segments by the number of purchases, and who they are about. #}

{% macro segments_purchases(aspect) -%}
    {{ segment(
        aspect, 'never_purchased', 'n = 0',
        "case when n_all = 0 then 'no orders' else n_all || ' orders, none of them settled' end",
        'No purchase; cancelled and failed orders do not count'
    ) }}
    {{ segment(
        aspect, 'subscribed_no_purchase',
        'n = 0 and is_newly_subscribed and (email_ok or mobile_ok)',
        "'in the list since ' || " ~ show_day('subscribed_at') ~ " || ', no purchase'",
        'In the list for at most ' ~ var('subscribed_no_purchase_days')
        ~ ' days, reachable by e-mail or mobile, no purchase'
    ) }}
    {{ segment(
        aspect, 'first_time_30', 'n = 1 and is_new_buyer',
        "'first purchase ' || " ~ show_day('first_at'),
        'Exactly one purchase, in the last ' ~ var('first_time_days') ~ ' days'
    ) }}
    {{ segment(
        aspect, 'one_and_done', 'n = 1 and dsl > ' ~ var('one_and_done_days'),
        "'one purchase, ' || " ~ show_number('dsl') ~ " || ' days ago'",
        'Exactly one purchase, more than ' ~ var('one_and_done_days') ~ ' days ago'
    ) }}
    {{ segment(
        aspect, 'repeat_customers', 'n >= ' ~ var('repeat_purchases'), because_purchases(),
        'At least ' ~ var('repeat_purchases') ~ ' purchases'
    ) }}
    {{ segment(
        aspect, 'loyal_customers', 'n >= ' ~ var('loyal_purchases'), because_purchases(),
        'At least ' ~ var('loyal_purchases') ~ ' purchases'
    ) }}
    {{ segment(
        aspect, 'guest_customers', 'is_guest',
        "'no account; ' || n_all || case when n_all = 1 then ' order' else ' orders' end",
        'No user account behind the e-mail address'
    ) }}
    {{ segment(
        aspect, 'uncontactable_buyers', 'is_buyer and not email_ok and not mobile_ok',
        because_purchases() ~ " || ', no usable e-mail or mobile'",
        'Has purchased, but has neither a usable e-mail nor a mobile'
    ) }}
{%- endmacro %}
