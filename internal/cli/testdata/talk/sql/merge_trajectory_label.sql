-- Points within a label get its mode, once for each label when labels overlap; the day's other points are cut into groups of
-- consecutive points of a user.
with labelled as (
    select
        p.uid, p.latitude, p.longitude, p.ts, p.tdate, p.file, p.line, l.mode,
        cast(p.tdate as text) || '_' || cast(l.n as text) as trajectory_id
    from talk.trajectory_clean p
    join talk.label_clean l on l.tdate = p.tdate and l.uid = p.uid and p.ts between l.start_time and l.end_time
    where {{ in_interval('p.tdate') }} and {{ in_interval('l.tdate') }}
),
others as (
    select
        p.uid, p.latitude, p.longitude, p.ts, p.tdate, p.file, p.line,
        cast(floor(cast(row_number() over (partition by p.tdate, p.uid order by p.ts, p.file, p.line) - 1 as double precision)
            / {{ var.value.points_per_group }}) as bigint) as k
    from talk.trajectory_clean p
    where {{ in_interval('p.tdate') }}
      and not exists (
        select 1 from talk.label_clean l
        where l.tdate = p.tdate and l.uid = p.uid and p.ts between l.start_time and l.end_time)
),
counted as (
    select others.*, count(*) over (partition by tdate, uid, k) as points
    from others
)
select tdate, uid, trajectory_id, mode, ts, latitude, longitude, file, line
from labelled
union all
select
    tdate, uid, 'nl_' || cast(tdate as text) || '_' || uid || '_' || cast(k as text), cast(null as text),
    ts, latitude, longitude, file, line
from counted
where points >= {{ var.value.least_points }}
