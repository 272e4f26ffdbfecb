-- Windows of two minutes by the clock, in which at least ten seconds were observed. No label is looked at: rows to train on and
-- rows to score are cut alike. Of the window's points: percentiles of the speed and bends on the way to the next one. Of its
-- slots: how far it is from a slot's mean place to the next slot's by time, the drift, and from the slot before to the slot
-- after, drift_2. That is about half a minute and a minute apart.
with neighbours as (
    select *, lag(gap) over w as gap_before,
           lag(mean_epoch) over w as epoch_before, lag(x) over w as x_before, lag(y) over w as y_before, lag(z) over w as z_before,
           lead(mean_epoch) over w as epoch_after, lead(x) over w as x_after, lead(y) over w as y_after, lead(z) over w as z_after
    from geolife.trajectory_slot
    where {{ in_interval('tdate') }}
    window w as (partition by uid, tdate order by slot)
),
slots as (
    select *,
           case when gap = 0 then {{ metres('x_after - x', 'y_after - y', 'z_after - z') }} / (epoch_after - mean_epoch) end as drift,
           case when gap = 0 and gap_before = 0 then {{ metres('x_after - x_before', 'y_after - y_before', 'z_after - z_before') }} / (epoch_after - epoch_before)
                when gap = 0 then {{ metres('x_after - x', 'y_after - y', 'z_after - z') }} / (epoch_after - mean_epoch)
                when gap_before = 0 then {{ metres('x - x_before', 'y - y_before', 'z - z_before') }} / (mean_epoch - epoch_before) end as drift_2,
           case when gap = 0 then floor(x_after) - floor(x) end as dx, case when gap = 0 then floor(y_after) - floor(y) end as dy,
           case when gap = 0 then floor(z_after) - floor(z) end as dz, case when gap = 0 then floor(1000 * epoch_after) - floor(1000 * mean_epoch) end as dms
    from neighbours
),
of_slots as (
    select uid, tdate, slot - slot % 120 as window_epoch, cast(sum(points) as bigint) as points,
           sum(seconds) as seconds, sum(millimetres) as millimetres,
           percentile_disc(0.5) within group (order by drift) as drift_p50,
           percentile_disc(0.75) within group (order by drift) as drift_p75,
           min(drift) as drift_min, max(drift) as drift_max,
           percentile_disc(0.5) within group (order by drift_2) as drift_2_p50,
           max(drift_2) as drift_2_max,
           {{ metres('sum(dx)', 'sum(dy)', 'sum(dz)') }} / (sum(dms) / 1000) as net_speed,
           sum(seconds_still) as seconds_still, sum(seconds_2_5) as seconds_2_5, sum(seconds_3_5) as seconds_3_5,
           sum(seconds_6) as seconds_6, sum(seconds_10) as seconds_10,
           cast(sum(turns) as bigint) as turns, cast(sum(speed_changes) as bigint) as speed_changes, cast(sum(stops) as bigint) as stops
    from slots
    group by uid, tdate, slot - slot % 120
    having sum(seconds) >= 10
),
of_points as (
    select uid, tdate, epoch - epoch % 120 as window_epoch,
           {% for percent in [25, 50, 75, 85, 95] -%}
           percentile_disc({{ percent / 100 }}) within group (order by speed) as speed_p{{ percent }},
           {% endfor -%}
           max(gap_metres) as gap_metres, max(gap_speed) as gap_speed,
           percentile_disc(0.5) within group (order by bend) as bend_p50,
           sum(bend) / nullif(count(bend), 0) as bend_mean,
           cast(count(case when bend >= 293 then 1 end) as double precision) / nullif(count(bend), 0) as bend_share
    from geolife.trajectory_speed
    where {{ in_interval('tdate') }}
    group by uid, tdate, epoch - epoch % 120
)
select s.*, speed_p25, speed_p50, speed_p75, speed_p85, speed_p95, bend_p50, bend_mean, bend_share, gap_metres, gap_speed
from of_slots as s
-- A full join is never made by a loop. PostgreSQL expects one row of a day that its statistics do not know yet, and would
-- otherwise go through all points of the day once for each window.
full join of_points as p on p.uid = s.uid and p.tdate = s.tdate and p.window_epoch = s.window_epoch
where coalesce(s.points, 0) > 0
