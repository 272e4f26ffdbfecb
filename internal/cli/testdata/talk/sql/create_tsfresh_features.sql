-- Each trajectory's features, a row each.
{% from 'tsfresh.sql' import series, features -%}
with wide as (
    select
        tdate, uid, trajectory_id
{%- for s in series %}{% for name, expression in features %},
        {{ expression % s }} as {{ s }}__{{ name }}
{%- endfor %}{% endfor %}
    from talk.trajectory_speed_walk
    where {{ in_interval('tdate') }}
    group by tdate, uid, trajectory_id
)
{% for s in series %}{% set outer = loop %}{% for name, expression in features -%}
select tdate, uid, trajectory_id, '{{ s }}__{{ name }}' as variable, {{ s }}__{{ name }} as value from wide
{% if not (outer.last and loop.last) %}union all
{% endif %}{% endfor %}{% endfor %}
