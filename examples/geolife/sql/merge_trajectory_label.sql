-- The label of a window: the one that covers at least two thirds of its points. A window astride two trips has none: it is
-- neither trained on nor judged. seconds are those that the label covers.
with covered as (
    select s.uid, s.tdate, s.slot - s.slot % 120 as window_epoch, l.segment_id, l.mode, sum(s.points) as points, sum(s.seconds) as seconds
    from geolife.trajectory_slot as s
    join geolife.label_clean as l on l.uid = s.uid and l.tdate = s.tdate and s.mean_epoch >= l.start_epoch and s.mean_epoch < l.end_epoch + 1
    where {{ in_interval('s.tdate') }} and {{ in_interval('l.tdate') }}
    group by s.uid, s.tdate, s.slot - s.slot % 120, l.segment_id, l.mode
)
select f.window_id, f.uid, f.tdate, f.window_epoch, c.segment_id, c.mode, greatest(least(c.seconds, 120), 1) as seconds,
       cast(c.points as double precision) / f.points as label_share
from covered as c
join geolife.window_features as f on f.uid = c.uid and f.tdate = c.tdate and f.window_epoch = c.window_epoch
where {{ in_interval('f.tdate') }} and 3 * c.points >= 2 * f.points
