-- Points on the Earth, one for each user and second, with their place in space (see macros/geo.sql). Of several points at one
-- time the one that stands first in its file counts. A point is left out, whatever a label says, when it jumps: it is reached
-- and left at more than 50 m/s, and the way without it is slower.
with points as (
    select uid, tdate, tdate + ttime as ts, cast(extract(epoch from tdate + ttime) as bigint) as epoch, line, latitude, longitude,
           {{ earth_x('latitude', 'longitude') }} as x, {{ earth_y('latitude', 'longitude') }} as y, {{ earth_z('latitude') }} as z
    from geolife.trajectory
    where {{ in_interval('tdate') }} and abs(latitude) <= 90 and abs(longitude) <= 180
),
neighbours as (
    select uid, tdate, ts, epoch, latitude, longitude, x, y, z,
           lag(epoch) over w as epoch_before, lag(x) over w as x_before, lag(y) over w as y_before, lag(z) over w as z_before,
           lead(epoch) over w as epoch_after, lead(x) over w as x_after, lead(y) over w as y_after, lead(z) over w as z_after
    from points
    window w as (partition by uid, tdate order by epoch, line, latitude, longitude)
)
select uid, tdate, ts, epoch, latitude, longitude, x, y, z
from neighbours
where (epoch_before is null or epoch > epoch_before)
  and (epoch_before is null or epoch_after is null
       or {{ metres('x - x_before', 'y - y_before', 'z - z_before') }} <= 50 * (epoch - epoch_before)
       or {{ metres('x_after - x', 'y_after - y', 'z_after - z') }} <= 50 * (epoch_after - epoch)
       or {{ metres('x_after - x_before', 'y_after - y_before', 'z_after - z_before') }} > 50 * (epoch_after - epoch_before))
