{% macro mph(x) %}({{ x }} / 1.609344){% endmacro %}
