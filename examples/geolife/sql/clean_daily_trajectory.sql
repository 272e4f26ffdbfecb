-- Points on the Earth, one for each user and second: of several at one time the first in the files. A point also gets its
-- place in space (see macros/geo.sql).
select uid, tdate, ts, cast(extract(epoch from ts) as bigint) as epoch, latitude, longitude,
       {{ earth_x('latitude', 'longitude') }} as x, {{ earth_y('latitude', 'longitude') }} as y, {{ earth_z('latitude') }} as z
from (
    select uid, tdate, tdate + ttime as ts, latitude, longitude,
           row_number() over (partition by uid, tdate, ttime order by file, line) as nth
    from geolife.trajectory
    where {{ in_interval('tdate') }} and abs(latitude) <= 90 and abs(longitude) <= 180
) as points
where nth = 1
