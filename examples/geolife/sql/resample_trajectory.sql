-- Slots of half a minute by the clock: mean time and place, way, and how the speed was. The mean place of many points is
-- steadier than any of them.
select uid, tdate, epoch - epoch % 30 as slot, count(*) as points,
       sum(cast(epoch as double precision)) / count(*) as mean_epoch, sum(x) / count(*) as x, sum(y) / count(*) as y, sum(z) / count(*) as z,
       max(case when seconds is null then 1 else 0 end) as gap,
       coalesce(sum(seconds), 0) as seconds,
       coalesce(sum(millimetres), 0) as millimetres,
       coalesce(sum(case when speed < 0.5 then seconds end), 0) as seconds_still,
       coalesce(sum(case when speed >= 2.5 then seconds end), 0) as seconds_2_5,
       coalesce(sum(case when speed >= 3.5 then seconds end), 0) as seconds_3_5,
       coalesce(sum(case when speed >= 6 then seconds end), 0) as seconds_6,
       coalesce(sum(case when speed >= 10 then seconds end), 0) as seconds_10,
       count(case when turned = 1 then 1 end) as turns,
       count(case when speed_changed = 1 then 1 end) as speed_changes,
       count(case when speed < 0.5 then 1 end) as stops
from geolife.trajectory_speed
where {{ in_interval('tdate') }}
group by uid, tdate, epoch - epoch % 30
