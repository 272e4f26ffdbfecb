-- The label of a window: the one that covers most of its points, when that is at least half of them. Of overlapping labels
-- that cover as many, the later one counts.
with covered as (
    select w.uid, w.tdate, w.trip, w.stretch, w.part, l.segment_id, l.mode, l.start_epoch, count(*) as points
    from geolife.trajectory_clean as p
    join geolife.window_slot as w on w.uid = p.uid and w.tdate = p.tdate and w.slot = cast(floor(p.epoch / 30.0) as bigint)
    join geolife.label_clean as l on l.uid = p.uid and l.tdate = p.tdate and p.epoch between l.start_epoch and l.end_epoch
    where {{ in_interval('p.tdate') }} and {{ in_interval('w.tdate') }} and {{ in_interval('l.tdate') }}
    group by w.uid, w.tdate, w.trip, w.stretch, w.part, l.segment_id, l.mode, l.start_epoch
),
ranked as (
    select *, row_number() over (partition by uid, tdate, trip, stretch, part order by points desc, start_epoch desc, mode) as nth
    from covered
)
select f.window_id, f.uid, f.tdate, r.segment_id, r.mode, r.points / cast(f.points as double precision) as label_share
from ranked as r
join geolife.window_features as f
  on f.uid = r.uid and f.tdate = r.tdate and f.trip = r.trip and f.stretch = r.stretch and f.part = r.part
where r.nth = 1 and 2 * r.points >= f.points and {{ in_interval('f.tdate') }}
