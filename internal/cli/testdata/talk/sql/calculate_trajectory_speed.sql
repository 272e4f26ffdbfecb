-- From each point of a trajectory to its next: miles, hours, miles an hour. Points of equal time give no speed.
with point as (
    select
        tdate, uid, trajectory_id, mode, ts, file, line, longitude,
        {{ reduced_latitude('latitude') }} as beta
    from talk.trajectory_label_clean
    where {{ in_interval('tdate') }}
),
pair as (
    select
        point.*,
        lead(ts) over trajectory as next_ts,
        lead(beta) over trajectory as next_beta,
        lead(longitude) over trajectory as next_longitude
    from point
    window trajectory as (partition by tdate, trajectory_id order by ts, file, line)
),
angle as (
    select
        pair.*,
        {{ haversine('beta', 'longitude', 'next_beta', 'next_longitude') }} as h,
        cast(extract(epoch from next_ts - ts) as double precision) / 3600.0 as interval_hour
    from pair
    where next_ts > ts
),
distance as (
    select
        angle.*,
        {{ geodesic_metres('h', 'beta', 'next_beta') }} / 1609.34 as distance_miles
    from angle
)
select
    tdate, uid, trajectory_id, mode, ts, file, line, distance_miles, interval_hour,
    distance_miles / interval_hour as speed
from distance
