-- Points that can be on the earth, with their moment.
select uid, latitude, longitude, tdate + ttime as ts, tdate, file, line
from talk.trajectory
where {{ in_interval('tdate') }}
  and abs(latitude) <= 90 and abs(longitude) <= 180
