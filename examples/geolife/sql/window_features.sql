-- What the models see of a window: its speeds, shares of the time above walking paces, how often it turns, stops and changes
-- speed (a metre, from 20 metres), how sharply it bends, how straight it gets away, and the drift of the window beside it that
-- is more like it. Where the drift is unknown the speed by points stands in for it; who does not move does not bend.
with known as (
    select uid, tdate, window_epoch, points, seconds, millimetres, speed_p25, speed_p50, speed_p75, speed_p85, speed_p95,
           coalesce(drift_p50, speed_p50) as drift_p50, coalesce(drift_p75, speed_p75) as drift_p75,
           coalesce(drift_min, speed_p25) as drift_min, coalesce(drift_max, speed_p95) as drift_max,
           coalesce(drift_2_p50, speed_p50) as drift_2_p50, coalesce(drift_2_max, speed_p95) as drift_2_max,
           coalesce(net_speed, millimetres / 1000 / seconds) as net_speed,
           coalesce(bend_p50, 0) / 1000 as bend_p50, coalesce(bend_mean, 0) / 1000 as bend_mean, coalesce(bend_share, 0) as bend_share,
           gap_metres, gap_speed, seconds_still, seconds_2_5, seconds_3_5, seconds_6, seconds_10, turns, speed_changes, stops
    from geolife.trajectory_window
    where {{ in_interval('tdate') }}
),
beside as (
    select *,
           case when lag(window_epoch) over w = window_epoch - 120 then lag(drift_p50) over w end as drift_before,
           case when lead(window_epoch) over w = window_epoch + 120 then lead(drift_p50) over w end as drift_after
    from known
    window w as (partition by uid, tdate order by window_epoch)
)
select uid || ' ' || cast(timestamp '1970-01-01 00:00:00' + window_epoch * interval '1 second' as varchar) as window_id,
       uid, tdate, timestamp '1970-01-01 00:00:00' + window_epoch * interval '1 second' as started, window_epoch,
       points, least(seconds, 120) as seconds,
       millimetres / 1000 / seconds as speed_mean, speed_p25, speed_p50, speed_p75, speed_p85, speed_p95,
       drift_p50, drift_p75, drift_min, drift_max, drift_max - drift_min as drift_range, drift_2_p50, drift_2_max, net_speed,
       seconds_still / seconds as share_still, seconds_2_5 / seconds as share_2_5, seconds_3_5 / seconds as share_3_5,
       seconds_6 / seconds as share_6, seconds_10 / seconds as share_10,
       1000 * turns / greatest(millimetres, 20000) as turn_rate,
       1000 * speed_changes / greatest(millimetres, 20000) as speed_change_rate,
       1000 * stops / greatest(millimetres, 20000) as stop_rate,
       bend_p50, bend_mean, bend_share, gap_metres, gap_speed,
       case when abs(drift_after - drift_p50) < abs(drift_before - drift_p50) then drift_after
            when drift_after is not null then coalesce(drift_before, drift_p50)
            else drift_p50 end as neighbour_drift
from beside
