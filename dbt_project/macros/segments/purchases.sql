{# Segments by the number of purchases, and who they are about. #}

{% macro segments_purchases(aspect) -%}
    {{ segment(
        aspect, 'never_purchased', 'purchases = 0',
        "case when orders = 0 then 'no orders' else orders || ' orders, none of them settled' end",
        'No purchase; cancelled and failed orders do not count'
    ) }}
    {{ segment(
        aspect, 'subscribed_no_purchase',
        'purchases = 0 and is_newly_subscribed and (can_email or can_sms)',
        "'in the list since ' || " ~ show_day('subscribed_at') ~ " || ', no purchase'",
        'In the list for at most ' ~ var('subscribed_no_purchase_days')
        ~ ' days, reachable by e-mail or mobile, no purchase'
    ) }}
    {{ segment(
        aspect, 'first_time_30', 'purchases = 1 and is_new_buyer',
        "'first purchase ' || " ~ show_day('first_purchase_at'),
        'Exactly one purchase, in the last ' ~ var('first_time_days') ~ ' days'
    ) }}
    {{ segment(
        aspect, 'one_and_done', 'purchases = 1 and days_since_last_purchase > ' ~ var('one_and_done_days'),
        "'one purchase, ' || " ~ show_days('days_since_last_purchase') ~ " || ' days ago'",
        'Exactly one purchase, more than ' ~ var('one_and_done_days') ~ ' days ago'
    ) }}
    {{ segment(
        aspect, 'repeat_customers', 'purchases >= ' ~ var('repeat_purchases'), because_purchases(),
        'At least ' ~ var('repeat_purchases') ~ ' purchases'
    ) }}
    {{ segment(
        aspect, 'loyal_customers', 'purchases >= ' ~ var('loyal_purchases'), because_purchases(),
        'At least ' ~ var('loyal_purchases') ~ ' purchases'
    ) }}
    {{ segment(
        aspect, 'guest_customers', 'is_guest',
        "'no account; ' || orders || case when orders = 1 then ' order' else ' orders' end",
        'No user account behind the e-mail address'
    ) }}
    {{ segment(
        aspect, 'uncontactable_buyers', 'is_buyer and not can_email and not can_sms',
        because_purchases() ~ " || ', no usable e-mail or mobile'",
        'Has purchased, but has neither a usable e-mail nor a mobile'
    ) }}
{%- endmacro %}
