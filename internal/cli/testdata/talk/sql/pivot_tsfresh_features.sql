-- Each trajectory's features as columns, with its label.
{% from 'tsfresh.sql' import series, features -%}
with wide as (
    select
        tdate, uid, trajectory_id
{%- for s in series %}{% for name, _ in features %},
        max(case when variable = '{{ s }}__{{ name }}' then value end) as {{ s }}__{{ name }}
{%- endfor %}{% endfor %}
    from talk.ts_features_walk
    where {{ in_interval('tdate') }}
    group by tdate, uid, trajectory_id
)
select wide.*, walk.label
from wide
join (
    select distinct tdate, trajectory_id, label
    from talk.trajectory_speed_walk
    where {{ in_interval('tdate') }}
) walk on walk.tdate = wide.tdate and walk.trajectory_id = wide.trajectory_id
