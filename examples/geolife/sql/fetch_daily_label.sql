-- The labels that touch the day: one across midnight is a row of each of its days, of a month of them at most.
select l.uid, l.tdate, l.start_time, l.end_time, l.mode, l.file, l.line
from (
    select uid, cast(start_time as date) + n as tdate, start_time, end_time, mode, file, line
    from geolife.label_landing
    join (select cast(i as integer) as n from generate_series(0, 31) as s (i)) as days
      on n <= greatest(cast(end_time as date) - cast(start_time as date), 0)
) as l
where {{ in_interval('l.tdate') }}
