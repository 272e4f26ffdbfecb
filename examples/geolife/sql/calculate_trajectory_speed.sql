-- From each point to the user's next one that day: seconds, way and speed, and whether it turned by more than 20 degrees or
-- changed its speed by more than half there. After five minutes without a point the way is unknown: gap is 1 and the rest NULL.
with neighbours as (
    select uid, tdate, ts, epoch, x, y, z,
           case when lead(epoch) over w - epoch <= 300 then lead(epoch) over w - epoch end as seconds,
           lead(x) over w - x as dx, lead(y) over w - y as dy, lead(z) over w - z as dz,
           case when epoch - lag(epoch) over w <= 300 then epoch - lag(epoch) over w end as seconds_before,
           x - lag(x) over w as dx_before, y - lag(y) over w as dy_before, z - lag(z) over w as dz_before
    from geolife.trajectory_clean
    where {{ in_interval('tdate') }}
    window w as (partition by uid, tdate order by epoch)
),
speeds as (
    select *, {{ distance_m('x', 'y', 'z', 'x + dx', 'y + dy', 'z + dz') }} / seconds as speed,
           {{ metres('dx_before', 'dy_before', 'dz_before') }} / seconds_before as speed_before,
           cast(dx as double precision) * dx_before + cast(dy as double precision) * dy_before + cast(dz as double precision) * dz_before as along,
           {{ metres('dx_before', 'dy_before', 'dz_before') }} * {{ metres('dx', 'dy', 'dz') }} * 1000000000000 as along_most
    from neighbours
)
select uid, tdate, ts, epoch, x, y, z, seconds, speed, cast(floor(speed * seconds * 1000 + 0.5) as bigint) as millimetres,
       case when seconds is not null then dx end as dx, case when seconds is not null then dy end as dy, case when seconds is not null then dz end as dz,
       case when seconds is null then 1 else 0 end as gap,
       case when speed >= 0.5 and speed_before >= 0.5 and along < 0.94 * along_most then 1 else 0 end as turned,
       case when abs(speed - speed_before) > 0.5 * greatest(speed_before, 0.3) then 1 else 0 end as speed_changed
from speeds
