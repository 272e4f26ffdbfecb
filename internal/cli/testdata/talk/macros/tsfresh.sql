{# tsfresh's MinimalFCParameters; standard deviation and variance are those of the population, as in numpy. #}
{%- set series = ['distance_miles', 'interval_hour', 'speed'] -%}
{%- set features = [
    ('length', 'cast(count(%s) as double precision)'),
    ('maximum', 'max(%s)'),
    ('mean', 'avg(%s)'),
    ('median', 'percentile_cont(0.5) within group (order by %s)'),
    ('minimum', 'min(%s)'),
    ('standard_deviation', 'stddev_pop(%s)'),
    ('sum_values', 'sum(%s)'),
    ('variance', 'var_pop(%s)'),
] -%}
