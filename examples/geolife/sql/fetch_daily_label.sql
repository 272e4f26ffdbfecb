-- The labels that touch the day: one across midnight is a row of each of its days.
select l.uid, d.tdate, l.start_time, l.end_time, l.mode, l.file, l.line
from ({{ interval_days() }}) as d
join geolife.label_landing as l
  on l.start_time < d.tdate + interval '1 day' and greatest(l.start_time, l.end_time) >= cast(d.tdate as timestamp)
where l.start_time < timestamp '{{ data_interval_end | ds }} 00:00:00'
