{# The columns together are the key of a view; a table has an index that says so. #}
{% test unique_key(model, columns) %}
{{ config(tags=['daily']) }}
select {{ columns | join(', ') }}
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
