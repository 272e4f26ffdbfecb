-- The labels that start on the day.
select uid, cast(start_time as date) as tdate, start_time, end_time, mode, file, line
from geolife.label_landing
where {{ in_interval('cast(start_time as date)') }}
