{# Segments by the time since the last purchase: against fixed or the list's own limits
   (lifecycle, intervals) and against the customer's own pace. #}

{% macro segments_timing(aspect) -%}
    {%- set by_band -%}
        {{ because_last_purchase() }} || '; limits ' || {{ show_number('lifecycle_1') }} || ', '
        || {{ show_number('lifecycle_2') }} || ', ' || {{ show_number('lifecycle_3') }}
    {%- endset -%}
    {%- set by_interval -%}
        {{ because_last_purchase() }} || '; limits {{ var("just_ordered_days") }}, '
        || {{ show_number('interval_active') }} || ', ' || {{ show_number('interval_slipping') }}
    {%- endset -%}
    {%- set by_pace -%}
        {{ because_last_purchase() }} || '; usually every ' || {{ show_number('usual_days_between_purchases') }} || ' days'
    {%- endset -%}
    {%- set days = var('lifecycle_days') -%}
    {%- set or_own = '; limits from the gaps of the list where it has '
        ~ var('lifecycle_min_returning') ~ ' returning customers' -%}
    {{ segment(
        aspect, 'lifecycle_recent', "lifecycle = 'recent'", by_band,
        'Last purchase less than ' ~ days[0] ~ ' days ago' ~ or_own, 'lifecycle'
    ) }}
    {{ segment(
        aspect, 'lifecycle_needs_nurturing', "lifecycle = 'needs_nurturing'", by_band,
        'Last purchase from ' ~ days[0] ~ ' to less than ' ~ days[1] ~ ' days ago' ~ or_own,
        'lifecycle'
    ) }}
    {{ segment(
        aspect, 'lifecycle_at_risk', "lifecycle = 'at_risk'", by_band,
        'Last purchase from ' ~ days[1] ~ ' to ' ~ days[2] ~ ' days ago' ~ or_own, 'lifecycle'
    ) }}
    {{ segment(
        aspect, 'lifecycle_about_to_lose', "lifecycle = 'about_to_lose'", by_band,
        'Last purchase more than ' ~ days[2] ~ ' days ago' ~ or_own, 'lifecycle'
    ) }}
    {{ segment(
        aspect, 'champions', "lifecycle = 'recent' and is_returning and average_order_value >= list_average_order_value",
        because_purchases(),
        'Recent by lifecycle, at least 2 purchases, average order value not below that of the list'
    ) }}
    {{ segment(
        aspect, 'loyalists', "lifecycle = 'recent' and is_returning and average_order_value < list_average_order_value",
        because_purchases(),
        'Recent by lifecycle, at least 2 purchases, average order value below that of the list'
    ) }}
    {{ segment(
        aspect, 'high_potential',
        "lifecycle = 'recent' and is_buyer and not is_returning and average_order_value >= list_average_order_value",
        because_purchases(),
        'Recent by lifecycle, one purchase, average order value not below that of the list'
    ) }}
    {{ segment(
        aspect, 'just_ordered', "interval_band = 'just_ordered'", by_interval,
        'Last purchase at most ' ~ var('just_ordered_days') ~ ' days ago', 'interval'
    ) }}
    {{ segment(
        aspect, 'active_by_interval', "interval_band = 'active'", by_interval,
        'Last purchase within the mean plus SD of the days between purchases', 'interval'
    ) }}
    {{ segment(
        aspect, 'slipping_away', "interval_band = 'slipping_away'", by_interval,
        'Last purchase within the mean plus 2 SD of the days between purchases', 'interval'
    ) }}
    {{ segment(
        aspect, 'lost_by_interval', "interval_band = 'lost'", by_interval,
        'Last purchase longer ago than the mean plus 2 SD of the days between purchases',
        'interval'
    ) }}
    {{ segment(
        aspect, 'on_track', "pace = 'on_track'", by_pace,
        'At least 2 purchases, the last within ' ~ var('overdue_factor')
        ~ ' times the usual gap (the own mean from 3 purchases, else the median of the list)',
        'pace'
    ) }}
    {{ segment(
        aspect, 'overdue', "pace = 'overdue'", by_pace,
        'At least 2 purchases, the last from ' ~ var('overdue_factor') ~ ' to '
        ~ var('inactive_factor') ~ ' usual gaps ago', 'pace'
    ) }}
    {{ segment(
        aspect, 'inactive', "pace = 'inactive'", by_pace,
        'At least 2 purchases, the last more than ' ~ var('inactive_factor')
        ~ ' usual gaps ago', 'pace'
    ) }}
    {{ segment(
        aspect, 'reactivated', 'ended_gap_days > ' ~ var('lapsed_days'),
        "'came back after ' || " ~ show_number('ended_gap_days') ~ " || ' days'",
        'A purchase in the last ' ~ var('reactivated_days') ~ ' days, after a gap of more than '
        ~ var('lapsed_days') ~ ' days'
    ) }}
{%- endmacro %}
