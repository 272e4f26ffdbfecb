-- Labels that end on the day on which they start, numbered within the day.
select
    uid, start_time, end_time, mode, tdate,
    row_number() over (partition by tdate order by uid, start_time, file, line) as n
from talk.label
where {{ in_interval('tdate') }}
  and cast(end_time as date) = tdate
