-- One row for the day of the run: {{ ds }}. Try it: damson render daily.hello --date 2024-01-01
select
    date '{{ ds }}' as day,
    '{{ var.value.greeting }}' as greeting
