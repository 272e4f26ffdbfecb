-- Slots of half a minute by the clock: mean place, first and last place, way, and how the speed was. The mean place of many
-- points is steadier than any of them.
with numbered as (
    select *, cast(floor(epoch / 30.0) as bigint) as slot,
           row_number() over (partition by uid, tdate, cast(floor(epoch / 30.0) as bigint) order by epoch) as nth,
           row_number() over (partition by uid, tdate, cast(floor(epoch / 30.0) as bigint) order by epoch desc) as nth_last
    from geolife.trajectory_speed
    where {{ in_interval('tdate') }}
)
select uid, tdate, slot, count(*) as points, min(epoch) as first_epoch, max(epoch) as last_epoch, avg(cast(epoch as double precision)) as mean_epoch,
       avg(x) as x, avg(y) as y, avg(z) as z,
       max(case when nth = 1 then x end) as first_x, max(case when nth = 1 then y end) as first_y, max(case when nth = 1 then z end) as first_z,
       max(case when nth_last = 1 then next_x end) as last_x, max(case when nth_last = 1 then next_y end) as last_y,
       max(case when nth_last = 1 then next_z end) as last_z,
       coalesce(sum(seconds), 0) as seconds, coalesce(sum(metres), 0) as metres, max(speed) as top_speed, max(gap) as gap,
       coalesce(sum(case when speed < 0.5 then seconds end), 0) as seconds_still,
       coalesce(sum(case when speed >= 2.5 then seconds end), 0) as seconds_2_5,
       coalesce(sum(case when speed >= 3.5 then seconds end), 0) as seconds_3_5,
       coalesce(sum(case when speed >= 6 then seconds end), 0) as seconds_6,
       coalesce(sum(case when speed >= 10 then seconds end), 0) as seconds_10,
       sum(case when speed >= 0.5 and speed_before >= 0.5 and abs(atan2(sin(heading - heading_before), cos(heading - heading_before))) > 0.35 then 1 else 0 end) as turns,
       sum(case when abs(speed - speed_before) / greatest(speed_before, 0.3) > 0.5 then 1 else 0 end) as speed_changes,
       sum(case when speed < 0.5 then 1 else 0 end) as stops
from numbered
group by uid, tdate, slot
