-- Each slot's window. The user's day is a trip wherever points follow each other within five minutes; a trip is cut where the
-- pace changes between slow and fast for at least a minute, and long stretches into equal windows of at most three minutes.
-- No label is looked at: rows to train on and rows to score are cut alike.
with trips as (
    select *, case when lag(gap) over w = 0 then 0 else 1 end as opens,
           case when gap = 0 then {{ distance_m('x', 'y', 'z', 'lead(x) over w', 'lead(y) over w', 'lead(z) over w') }} / nullif(lead(mean_epoch) over w - mean_epoch, 0) end as drift
    from geolife.trajectory_slot
    where {{ in_interval('tdate') }}
    window w as (partition by uid, tdate order by slot)
),
numbered as (
    select *, sum(opens) over (partition by uid, tdate order by slot rows unbounded preceding) as trip from trips
),
paced as (
    select *,
           coalesce(avg(drift) over k, sum(metres) over k / nullif(sum(seconds) over k, 0)) as pace,
           {{ distance_m('lag(x) over w', 'lag(y) over w', 'lag(z) over w', 'lead(x) over w', 'lead(y) over w', 'lead(z) over w') }} / nullif(lead(mean_epoch) over w - lag(mean_epoch) over w, 0) as drift_2
    from numbered
    window w as (partition by uid, tdate, trip order by slot),
           k as (partition by uid, tdate, trip order by slot rows between 1 preceding and 1 following)
),
flagged as (
    select *, case when pace >= 2.0 then 1 else 0 end as fast from paced
),
changes as (
    select *, case when fast = lag(fast) over (partition by uid, tdate, trip order by slot) then 0 else 1 end as changed from flagged
),
runs as (
    select *, sum(changed) over (partition by uid, tdate, trip order by slot rows unbounded preceding) as run from changes
),
lengths as (
    select uid, tdate, trip, run, min(fast) as fast, case when sum(seconds) >= 60 then 1 else 0 end as long_enough
    from runs
    group by uid, tdate, trip, run
),
grouped as (
    select *, sum(long_enough) over (partition by uid, tdate, trip order by run rows unbounded preceding) as anchor from lengths
),
-- A run that is too short takes the pace of the long one before it, or of the first long one, or keeps its own.
settled as (
    select uid, tdate, trip, run,
           coalesce(max(case when long_enough = 1 then fast end) over (partition by uid, tdate, trip, case when anchor = 0 then 1 else anchor end), fast) as fast
    from grouped
),
stretches as (
    select *, sum(case when fast = was then 0 else 1 end) over (partition by uid, tdate, trip order by run rows unbounded preceding) as stretch
    from (select *, lag(fast) over (partition by uid, tdate, trip order by run) as was from settled) as s
),
placed as (
    select r.*, s.stretch, min(r.first_epoch) over t as stretch_epoch, greatest(sum(r.seconds) over t, 1) as stretch_seconds
    from runs as r join stretches as s on s.uid = r.uid and s.tdate = r.tdate and s.trip = r.trip and s.run = r.run
    window t as (partition by r.uid, r.tdate, r.trip, s.stretch)
)
select uid, tdate, slot, trip, stretch,
       cast(floor((first_epoch - stretch_epoch) / (stretch_seconds / ceil(stretch_seconds / 180.0) + 0.001)) as bigint) as part,
       points, first_epoch, last_epoch, seconds, metres, metres / nullif(seconds, 0) as speed, drift, drift_2, top_speed,
       first_x, first_y, first_z, last_x, last_y, last_z,
       seconds_still, seconds_2_5, seconds_3_5, seconds_6, seconds_10, turns, speed_changes, stops
from placed
