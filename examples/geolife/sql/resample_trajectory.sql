-- Slots of half a minute by the clock: mean time and place, way, and how the speed was. The mean place of many points is
-- steadier than any of them.
select uid, tdate, epoch - epoch % 30 as slot, count(*) as points,
       cast(sum(epoch) as double precision) / count(*) as mean_epoch,
       cast(sum(x) as double precision) / count(*) as x,
       cast(sum(y) as double precision) / count(*) as y,
       cast(sum(z) as double precision) / count(*) as z,
       cast(coalesce(sum(dx), 0) as bigint) as dx, cast(coalesce(sum(dy), 0) as bigint) as dy, cast(coalesce(sum(dz), 0) as bigint) as dz,
       cast(coalesce(sum(seconds), 0) as bigint) as seconds, cast(coalesce(sum(millimetres), 0) as bigint) as millimetres, max(gap) as gap,
       cast(coalesce(sum(case when speed < 0.5 then seconds end), 0) as bigint) as seconds_still,
       cast(coalesce(sum(case when speed >= 2.5 then seconds end), 0) as bigint) as seconds_2_5,
       cast(coalesce(sum(case when speed >= 3.5 then seconds end), 0) as bigint) as seconds_3_5,
       cast(coalesce(sum(case when speed >= 6 then seconds end), 0) as bigint) as seconds_6,
       cast(coalesce(sum(case when speed >= 10 then seconds end), 0) as bigint) as seconds_10,
       cast(sum(turned) as bigint) as turns, cast(sum(speed_changed) as bigint) as speed_changes,
       cast(sum(case when speed < 0.5 then 1 else 0 end) as bigint) as stops
from geolife.trajectory_speed
where {{ in_interval('tdate') }}
group by uid, tdate, epoch - epoch % 30
