-- The labels that start on the day.
select uid, start_time, end_time, transportation_mode as mode, cast(start_time as date) as tdate, file, line
from landing.label
where {{ in_interval('cast(start_time as date)') }}
