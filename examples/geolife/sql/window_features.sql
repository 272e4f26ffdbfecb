-- A row a window in which at least ten seconds were observed: percentiles of its speeds, shares of the time above walking
-- paces, how often it turns, stops and changes speed, how far it gets, and how fast the more similar of the two windows beside
-- it is. Rates are per metre, from 20 metres.
with sums as (
    select uid, tdate, window_epoch, cast(sum(points) as bigint) as points,
           cast(sum(seconds) as bigint) as seconds, cast(sum(millimetres) as bigint) as millimetres,
           percentile_disc(0.5) within group (order by speed) as speed_p50,
           percentile_disc(0.75) within group (order by speed) as speed_p75,
           percentile_disc(0.9) within group (order by speed) as speed_p90,
           percentile_disc(0.5) within group (order by drift) as drift_p50,
           percentile_disc(0.75) within group (order by drift) as drift_p75,
           max(drift) as drift_max,
           percentile_disc(0.5) within group (order by drift_2) as drift_2_p50,
           max(drift_2) as drift_2_max,
           sum(dx) as dx, sum(dy) as dy, sum(dz) as dz,
           sum(seconds_still) as seconds_still, sum(seconds_2_5) as seconds_2_5, sum(seconds_3_5) as seconds_3_5,
           sum(seconds_6) as seconds_6, sum(seconds_10) as seconds_10,
           sum(turns) as turns, sum(speed_changes) as speed_changes, sum(stops) as stops
    from geolife.window_slot
    where {{ in_interval('tdate') }}
    group by uid, tdate, window_epoch
    having sum(seconds) >= 10
),
beside as (
    select *,
           case when lag(window_epoch) over w = window_epoch - 120 then lag(drift_p50) over w end as drift_before,
           case when lead(window_epoch) over w = window_epoch + 120 then lead(drift_p50) over w end as drift_after
    from sums
    window w as (partition by uid, tdate order by window_epoch)
)
select uid || ' ' || cast(timestamp '1970-01-01 00:00:00' + window_epoch * interval '1 second' as varchar) as window_id,
       uid, tdate, timestamp '1970-01-01 00:00:00' + window_epoch * interval '1 second' as started, window_epoch,
       points, least(seconds, 120) as seconds,
       {{ ratio('millimetres', '1000 * seconds') }} as speed_mean, speed_p50, speed_p75, speed_p90,
       drift_p50, drift_p75, drift_max, drift_2_p50, drift_2_max,
       {{ ratio('seconds_still', 'seconds') }} as share_still,
       {{ ratio('seconds_2_5', 'seconds') }} as share_2_5,
       {{ ratio('seconds_3_5', 'seconds') }} as share_3_5,
       {{ ratio('seconds_6', 'seconds') }} as share_6,
       {{ ratio('seconds_10', 'seconds') }} as share_10,
       {{ ratio('turns', 'greatest(millimetres, 20000)') }} * 1000 as turn_rate,
       {{ ratio('speed_changes', 'greatest(millimetres, 20000)') }} * 1000 as speed_change_rate,
       {{ ratio('stops', 'greatest(millimetres, 20000)') }} * 1000 as stop_rate,
       {{ metres('dx', 'dy', 'dz') }} / seconds as net_speed,
       case when abs(drift_after - drift_p50) < abs(drift_before - drift_p50) then drift_after
            when drift_after is not null then coalesce(drift_before, drift_p50)
            else drift_p50 end as neighbour_drift
from beside
