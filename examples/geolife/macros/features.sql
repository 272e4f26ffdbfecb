{# The columns a model sees, in one place: the same for rows to train on and rows to score. #}
{% macro feature_columns(t) -%}
{% for name in ['speed_mean', 'speed_p50', 'speed_p75', 'speed_max', 'drift_p50', 'drift_p75', 'drift_max', 'drift_2_p50', 'drift_2_max', 'share_still',
   'share_2_5', 'share_3_5', 'share_6', 'share_10', 'turn_rate', 'speed_change_rate', 'stop_rate', 'net_speed', 'neighbour_drift'] -%}
{{ t }}.{{ name }}{{ '' if loop.last else ', ' }}
{%- endfor %}
{%- endmacro %}
