{# Every one of the columns is between the limits, both included, and never NULL. #}
{% test accepted_between(model, columns, lowest, highest) %}
select {{ columns | join(', ') }}
from {{ model }}
where {% for column in columns -%}
    {{ column }} is null or {{ column }} not between {{ lowest }} and {{ highest }}
    {{- ' or ' if not loop.last }}
{%- endfor %}
{% endtest %}
