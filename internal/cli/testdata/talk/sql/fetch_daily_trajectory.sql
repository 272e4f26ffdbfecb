-- The day's points.
select uid, latitude, longitude, altitude_ft, days, tdate, ttime, file, line
from landing.trajectory
where {{ in_interval('tdate') }}
