{# The columns a model sees, in one place: the same for rows to train on and rows to score. #}
{% macro feature_columns(t) -%}
{{ t }}.speed_mean,
{%- for name in ['speed', 'drift', 'drift_2'] %}{% for p in ['p10', 'p25', 'p50', 'p75', 'p90', 'max'] %} {{ t }}.{{ name }}_{{ p }},{% endfor %}{% endfor %}
{{ t }}.top_speed, {{ t }}.drift_std, {{ t }}.share_still, {{ t }}.share_2_5, {{ t }}.share_3_5, {{ t }}.share_6, {{ t }}.share_10,
{{ t }}.turn_rate, {{ t }}.speed_change_rate, {{ t }}.stop_rate, {{ t }}.net_speed, {{ t }}.straightness
{%- endmacro %}
