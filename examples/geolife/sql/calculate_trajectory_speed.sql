-- From each point to the user's next one that day: metres, seconds, speed, heading. After five minutes without a point the
-- way is unknown: seconds and what follows from them are NULL there, and gap is 1.
with neighbours as (
    select uid, tdate, ts, epoch, x, y, z,
           lead(epoch) over w - epoch as wait, {{ distance_m('x', 'y', 'z', 'lead(x) over w', 'lead(y) over w', 'lead(z) over w') }} as metres,
           atan2((lead(longitude) over w - longitude) * cos(radians(latitude)), lead(latitude) over w - latitude) as heading,
           lead(x) over w as next_x, lead(y) over w as next_y, lead(z) over w as next_z
    from geolife.trajectory_clean
    where {{ in_interval('tdate') }}
    window w as (partition by uid, tdate order by epoch)
),
steps as (
    select uid, tdate, ts, epoch, x, y, z,
           case when wait <= 300 then cast(wait as double precision) end as seconds,
           case when wait <= 300 then metres end as metres,
           case when wait <= 300 then metres / wait end as speed,
           case when wait <= 300 then heading end as heading,
           case when wait <= 300 then next_x else x end as next_x,
           case when wait <= 300 then next_y else y end as next_y,
           case when wait <= 300 then next_z else z end as next_z,
           case when wait <= 300 then 0 else 1 end as gap
    from neighbours
)
select uid, tdate, ts, epoch, x, y, z, seconds, metres, speed, heading, next_x, next_y, next_z, gap,
       lag(speed) over w as speed_before, lag(heading) over w as heading_before
from steps
window w as (partition by uid, tdate order by epoch)
