-- Daily partition of events; runs after midnight for the day before.
{% set table = 'events_' ~ ds_nodash %}
{%- set columns = [
    ('event_id', 'bigint'),
    ('user_id', 'bigint'),
    ('kind', 'text'),
    ('created_at', 'timestamp'),
] %}
DROP TABLE IF EXISTS staging.{{ table }};
CREATE TABLE staging.{{ table }} (
{%- for name, type in columns %}
    {{ name }} {{ type }}{{ "," if not loop.last }}
{%- endfor %}
);

ALTER TABLE analytics.events DROP PARTITION IF EXISTS FOR (DATE '{{ macros.ds_add(ds, -7) }}');
ALTER TABLE analytics.events ADD PARTITION p{{ ds_nodash }}
    START (DATE '{{ ds }}') INCLUSIVE END (DATE '{{ next_ds }}') EXCLUSIVE;

INSERT INTO staging.{{ table }}
SELECT {{ columns | map('first') | join(', ') }}
FROM raw.events
WHERE created_at >= TIMESTAMP '{{ data_interval_start.strftime('%Y-%m-%d %H:%M:%S') }}'
  AND created_at < TIMESTAMP '{{ data_interval_end.strftime("%Y-%m-%d %H:%M:%S") }}'
  AND kind IN {{ ('click', 'view') }}
  AND loaded_at > '{{ prev_data_interval_start_success or '1970-01-01' }}';
