{# The days of the data interval: one day, or many in a backfill. #}

{# The rows of these days. #}
{% macro in_interval(column) -%}
{{ column }} >= date '{{ data_interval_start | ds }}' and {{ column }} < date '{{ data_interval_end | ds }}'
{%- endmacro %}

{# A row a day, column tdate. #}
{% macro interval_days() -%}
select cast(moment as date) as tdate
from generate_series(timestamp '{{ data_interval_start | ds }} 00:00:00',
                     timestamp '{{ data_interval_end | ds }} 00:00:00' - interval '1 day', interval '1 day') as days (moment)
{%- endmacro %}
