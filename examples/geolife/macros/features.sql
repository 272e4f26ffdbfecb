{# The columns that models see, in one place: the same for rows to train on and rows to score. #}
{% macro feature_columns(t) -%}
{% for name in ['speed_mean', 'speed_p25', 'speed_p50', 'speed_p75', 'speed_p85', 'speed_p95',
   'drift_p50', 'drift_p75', 'drift_min', 'drift_max', 'drift_range', 'drift_2_p50', 'drift_2_max', 'net_speed',
   'share_still', 'share_2_5', 'share_3_5', 'share_6', 'share_10', 'turn_rate', 'speed_change_rate', 'stop_rate',
   'bend_p50', 'bend_mean', 'bend_share', 'gap_metres', 'gap_speed', 'neighbour_drift'] -%}
{{ t }}.{{ name }}{{ '' if loop.last else ', ' }}
{%- endfor %}
{%- endmacro %}
