{#- Monthly roll-up, idempotent: deletes what it inserts. -#}
{% macro month_of(column) -%}
date_trunc('month', {{ column }})
{%- endmacro %}
{% set month = data_interval_start.strftime('%Y%m') %}
{% set yesterday = (logical_date - macros.timedelta(days=1)) | ds %}
DELETE FROM {{ params.schema }}.rollup WHERE month = '{{ month }}';
INSERT INTO {{ params.schema }}.rollup (month, country, users, run_id)
SELECT '{{ month }}' AS month, country, count(DISTINCT user_id) AS users, '{{ run_id }}'
FROM {{ params.schema }}.activity
WHERE {{ month_of('day') }} = DATE '{{ execution_date.replace(day=1).strftime('%Y-%m-%d') }}'
  AND day <= '{{ yesterday }}'
{%- if params.get('countries') %}
  AND country IN ({% for c in params.countries %}'{{ c }}'{% if not loop.last %}, {% endif %}{% endfor %})
{%- endif %}
GROUP BY 1, 2
HAVING count(*) > {{ var.value.get('min_rows', 10) }} -- {{ task_instance.task_id }}, try {{ ti.try_number }}
;
GRANT SELECT ON {{ params.schema }}.rollup TO {{ var.json.roles.readers | join(', ') }};
