{# Time: the moment a build looks at, days and windows in a shop's time zone. PostgreSQL only.
   Windows are half-open, [as_of - k days, as_of); a day is a day of the shop's calendar, so that
   a window of 30 days starts at the same time of day also over a change of clocks. #}

{% macro as_of() -%}
    {#- The moment the build takes for now: the var `as_of`, else the environment (see scope.sql), else
        when the run started. -#}
    {%- set given = var('as_of', none)
        or (env_var('CSCART_PIPELINES_DBT_AS_OF', '') if execute else none) -%}
    {%- if given is none or given == '' -%}
        cast('{{ run_started_at.isoformat() }}' as timestamp with time zone)
    {%- elif not modules.re.match(
        '^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}(:?\d{2})?)$', given | string
    ) -%}
        {{ exceptions.raise_compiler_error(
            "as_of: expected ISO 8601 with an offset such as 2026-11-21T08:00:00Z, got " ~ given
        ) }}
    {%- else -%}
        cast('{{ given }}' as timestamp with time zone)
    {%- endif -%}
{%- endmacro %}


{% macro local_time(moment, timezone='timezone') -%}
    ({{ moment }} at time zone {{ timezone }})
{%- endmacro %}


{% macro local_date(moment, timezone='timezone') -%}
    cast({{ local_time(moment, timezone) }} as date)
{%- endmacro %}


{% macro days_after(moment, days, timezone='timezone') -%}
    (({{ local_time(moment, timezone) }} + interval '{{ days }} days') at time zone {{ timezone }})
{%- endmacro %}


{% macro minutes_after(moment, minutes) -%}
    ({{ moment }} + interval '{{ minutes }} minutes')
{%- endmacro %}


{% macro hours_after(moment, hours) -%}
    ({{ moment }} + interval '{{ hours }} hours')
{%- endmacro %}


{% macro in_last_days(moment, days, as_of='as_of', timezone='timezone') -%}
    {#- True in [as_of - days, as_of), false outside it, NULL where the moment is. -#}
    ({{ moment }} >= {{ days_after(as_of, -(days | int), timezone) }} and {{ moment }} < {{ as_of }})
{%- endmacro %}


{% macro days_between(first, last, timezone='timezone') -%}
    {#- With fractions, on the shop's clock: the counterpart of in_last_days, so that `days <= 30` and
        "in the last 30 days" say the same. Not below 0 in the hour that a clock shows twice. -#}
    {%- set days -%}
    extract(epoch from ({{ local_time(last, timezone) }} - {{ local_time(first, timezone) }})) / 86400
    {%- endset -%}
    (case when {{ first }} is not null and {{ last }} is not null then greatest({{ days }}, 0) end)
{%- endmacro %}


{% macro day_plus(day, days) -%}
    ({{ day }} + ({{ days }}))
{%- endmacro %}


{% macro start_of_day(day, timezone='timezone') -%}
    (cast({{ day }} as timestamp) at time zone {{ timezone }})
{%- endmacro %}


{% macro month_of(day) -%}
    cast(date_trunc('month', {{ day }}) as date)
{%- endmacro %}


{% macro months_between(first, last) -%}
    {#- Both are the first day of a month. -#}
    cast(
        (extract(year from {{ last }}) - extract(year from {{ first }})) * 12
        + extract(month from {{ last }}) - extract(month from {{ first }}) as integer
    )
{%- endmacro %}


{% macro each_day(first, last) -%}
    {#- For `cross join lateral`. -#}
    (select cast(spine.moment as date) as day
    from generate_series(
        cast({{ first }} as timestamp), cast({{ last }} as timestamp), interval '1 day'
    ) as spine (moment))
{%- endmacro %}


{% macro each_number(last) -%}
    {#- For `cross join lateral`: 0 to last. -#}
    (select spine.number from generate_series(0, {{ last }}) as spine (number))
{%- endmacro %}


{% macro next_moment(moment) -%}
    {#- The smallest step that a timestamp can show. -#}
    ({{ moment }} + interval '1 microsecond')
{%- endmacro %}


{% macro last_moment_before(moment) -%}
    ({{ moment }} - interval '1 microsecond')
{%- endmacro %}


{% macro seconds_between(first, last) -%}
    {#- With fractions. -#}
    extract(epoch from ({{ last }} - {{ first }}))
{%- endmacro %}
