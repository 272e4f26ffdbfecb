{% set start = macros.datetime.strptime(ds, '%Y-%m-%d') %}
{% set month_start = execution_date.start_of('month').to_date_string() -%}
SELECT '{{ ds }}' AS ds, '{{ ds_nodash }}' AS nodash, '{{ ts }}' AS ts, '{{ ts_nodash }}' AS ts_nodash, '{{ ts_nodash_with_tz }}' AS tz,
       '{{ macros.ds_format(ds, "%Y-%m-%d", "%d.%m.%Y") }}' AS german,
       '{{ yesterday_ds }}', '{{ tomorrow_ds_nodash }}', '{{ prev_ds }}', '{{ next_ds_nodash }}',
       '{{ (start - macros.dateutil.relativedelta.relativedelta(months=1)).strftime('%Y-%m-01') }}' AS last_month,
       '{{ month_start }}' AS month_start,
       '{{ execution_date.subtract(days=2).format('YYYYMMDD') }}' AS two_days,
       '{{ execution_date.in_timezone('Europe/Berlin') }}' AS berlin,
       {{ (data_interval_end - data_interval_start).total_seconds() | int }} AS seconds,
       '{{ '%02d' % execution_date.month }}/{{ '{:04d}'.format(execution_date.year) }}' AS my,
       '{{ macros.datetime_diff_for_humans(data_interval_start, data_interval_end) }}' AS ago,
       '{{ dag.dag_id }}.{{ task.task_id }}' AS task, '{{ conn.dwh.host }}:{{ conn.dwh.port }}' AS host,
       '{{ dag_run.conf.get("mode", "full") }}' AS mode
{% for i in range(3) -%}
UNION ALL SELECT * FROM day_{{ macros.ds_add(ds, -i) | replace('-', '') }}
{% endfor %}
