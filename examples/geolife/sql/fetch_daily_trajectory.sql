-- The day's points as they were recorded.
select uid, tdate, ttime, latitude, longitude, altitude_ft, line
from geolife.trajectory_landing
where {{ in_interval('tdate') }}
