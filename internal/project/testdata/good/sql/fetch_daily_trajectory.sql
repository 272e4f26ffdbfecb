select * from {{ var.value.schema }}.landing
where tdate >= '{{ data_interval_start | ds }}' and tdate < '{{ data_interval_end | ds }}'
