-- Each slot's window: two minutes by the clock. No label is looked at: rows to train on and rows to score are cut alike. A slot
-- gets the speeds that its neighbours give: drift, from its mean place to the next slot's, and drift_2, from the slot before
-- to the next, about half a minute and a minute apart.
with neighbours as (
    select *, lag(gap) over w as gap_before,
           lag(mean_epoch) over w as epoch_before, lag(x) over w as x_before, lag(y) over w as y_before, lag(z) over w as z_before,
           lead(mean_epoch) over w as epoch_after, lead(x) over w as x_after, lead(y) over w as y_after, lead(z) over w as z_after
    from geolife.trajectory_slot
    where {{ in_interval('tdate') }}
    window w as (partition by uid, tdate order by slot)
),
drifts as (
    select *, case when gap = 0 then {{ distance_m('x', 'y', 'z', 'x_after', 'y_after', 'z_after') }} / (epoch_after - mean_epoch) end as drift,
           case when gap_before = 0 then {{ distance_m('x_before', 'y_before', 'z_before', 'x', 'y', 'z') }} / (mean_epoch - epoch_before) end as drift_before,
           case when gap = 0 and gap_before = 0
                then {{ distance_m('x_before', 'y_before', 'z_before', 'x_after', 'y_after', 'z_after') }} / (epoch_after - epoch_before) end as drift_both
    from neighbours
)
select uid, tdate, slot - slot % 120 as window_epoch, slot, points, mean_epoch, seconds, millimetres, dx, dy, dz,
       {{ ratio('millimetres', '1000 * seconds') }} as speed, drift, coalesce(drift_both, drift, drift_before) as drift_2,
       seconds_still, seconds_2_5, seconds_3_5, seconds_6, seconds_10, turns, speed_changes, stops
from drifts
