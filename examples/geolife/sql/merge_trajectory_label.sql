-- The label of a window: the one that covers at least two thirds of its points. A window astride two trips has none: it is
-- neither trained on nor judged. seconds are those that the label covers.
with covered as (
    select w.uid, w.tdate, w.window_epoch, l.segment_id, l.mode, cast(sum(w.points) as bigint) as points, cast(sum(w.seconds) as bigint) as seconds
    from geolife.window_slot as w
    join geolife.label_clean as l on l.uid = w.uid and l.tdate = w.tdate and w.mean_epoch >= l.start_epoch and w.mean_epoch < l.end_epoch + 1
    where {{ in_interval('w.tdate') }} and {{ in_interval('l.tdate') }}
    group by w.uid, w.tdate, w.window_epoch, l.segment_id, l.mode
)
select f.window_id, f.uid, f.tdate, c.segment_id, c.mode, greatest(least(c.seconds, 120), 1) as seconds, {{ ratio('c.points', 'f.points') }} as label_share
from covered as c
join geolife.window_features as f on f.uid = c.uid and f.tdate = c.tdate and f.window_epoch = c.window_epoch
where {{ in_interval('f.tdate') }} and 3 * c.points >= 2 * f.points
