-- From each point to the user's next one that day: seconds, millimetres and speed in m/s, and whether the user turned by more
-- than 20 degrees or changed speed by more than half there. bend is how sharply the user turned, between two ways of 5 metres
-- and more: 1 minus the cosine, in thousandths, so 0 is straight on, 1000 at a right angle and 2000 back. After five minutes
-- without a point the way is unknown: NULL. What is known is how far the user came in a gap of two minutes to an hour, before
-- or after the point: under the ground a receiver sees nothing.
with neighbours as (
    select uid, tdate, epoch, x, y, z,
           lead(epoch) over w - epoch as wait, lead(x) over w as x_after, lead(y) over w as y_after, lead(z) over w as z_after,
           epoch - lag(epoch) over w as waited, x - lag(x) over w as dx_before, y - lag(y) over w as dy_before, z - lag(z) over w as dz_before
    from geolife.trajectory_clean
    where {{ in_interval('tdate') }}
    window w as (partition by uid, tdate order by epoch)
),
steps as (
    select uid, tdate, epoch, x, y, z,
           case when wait <= 300 then cast(wait as double precision) end as seconds,
           case when wait <= 300 then {{ distance_m('x', 'y', 'z', 'x_after', 'y_after', 'z_after') }} end as metres,
           case when waited <= 300 then {{ metres('dx_before', 'dy_before', 'dz_before') }} end as metres_before,
           waited as seconds_before,
           case when wait > 120 and wait <= 3600 then {{ metres('x_after - x', 'y_after - y', 'z_after - z') }} end as gap_after, wait,
           case when waited > 120 and waited <= 3600 then {{ metres('dx_before', 'dy_before', 'dz_before') }} end as gap_before, waited,
           (dx_before * (x_after - x) + dy_before * (y_after - y) + dz_before * (z_after - z)) / 1000000000000.0 as straight
    from neighbours
)
select uid, tdate, epoch, x, y, z, seconds, floor(1000 * metres + 0.5) as millimetres, metres / seconds as speed,
       case when metres >= 5 and metres_before >= 5 then floor(1000.5 - 1000 * straight / (metres * metres_before)) end as bend,
       case when metres >= 0.5 * seconds and metres_before >= 0.5 * seconds_before and straight < 0.94 * metres * metres_before then 1 else 0 end as turned,
       case when abs(metres / seconds - metres_before / seconds_before) > 0.5 * greatest(metres_before / seconds_before, 0.3) then 1 else 0 end as speed_changed,
       greatest(gap_after, gap_before) as gap_metres, greatest(gap_after / wait, gap_before / waited) as gap_speed
from steps
