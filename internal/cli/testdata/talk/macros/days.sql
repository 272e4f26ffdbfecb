{# The condition that a date stands in the data interval. #}
{%- macro in_interval(day) -%}
{{ day }} >= date '{{ data_interval_start | ds }}' and {{ day }} < date '{{ data_interval_end | ds }}'
{%- endmacro -%}
