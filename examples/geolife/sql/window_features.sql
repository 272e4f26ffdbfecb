-- A row a window: speeds by point, by half minute (drift) and by minute (drift_2) with their percentiles, shares of the time
-- above walking paces, how often it turns, stops and changes speed, and how straight it goes.
with numbered as (
    select *,
           row_number() over (partition by uid, tdate, trip, stretch, part order by slot) as nth,
           row_number() over (partition by uid, tdate, trip, stretch, part order by slot desc) as nth_last
    from geolife.window_slot
    where {{ in_interval('tdate') }}
),
sums as (
    select uid, tdate, trip, stretch, part, sum(points) as points, min(first_epoch) as first_epoch, max(last_epoch) as last_epoch,
           sum(seconds) as moving_seconds, sum(metres) as metres,
           {% for column, name in [('speed', 'speed'), ('drift', 'drift'), ('drift_2', 'drift_2')] -%}
           {% for p in [10, 25, 50, 75, 90] -%}
           percentile_cont({{ p / 100 }}) within group (order by {{ column }}) as {{ name }}_p{{ p }},
           {% endfor -%}
           max({{ column }}) as {{ name }}_max,
           {% endfor -%}
           max(top_speed) as top_speed, stddev_pop(drift) as drift_std,
           sum(seconds_still) as seconds_still, sum(seconds_2_5) as seconds_2_5, sum(seconds_3_5) as seconds_3_5,
           sum(seconds_6) as seconds_6, sum(seconds_10) as seconds_10,
           sum(turns) as turns, sum(speed_changes) as speed_changes, sum(stops) as stops,
           max(case when nth = 1 then first_x end) as ax, max(case when nth = 1 then first_y end) as ay, max(case when nth = 1 then first_z end) as az,
           max(case when nth_last = 1 then last_x end) as bx, max(case when nth_last = 1 then last_y end) as by_, max(case when nth_last = 1 then last_z end) as bz
    from numbered
    group by uid, tdate, trip, stretch, part
)
select uid || '_' || replace(cast(tdate as text), '-', '') || '_' || cast(row_number() over (partition by uid, tdate order by first_epoch) as text) as window_id,
       uid, tdate, trip, stretch, part, first_epoch, points, greatest(moving_seconds, 1) as seconds,
       metres / nullif(moving_seconds, 0) as speed_mean,
       {% for name in ['speed', 'drift', 'drift_2'] -%}
       {% for p in ['p10', 'p25', 'p50', 'p75', 'p90', 'max'] -%}
       {{ name }}_{{ p }}, {% endfor %}
       {% endfor -%}
       top_speed, drift_std,
       seconds_still / nullif(moving_seconds, 0) as share_still,
       seconds_2_5 / nullif(moving_seconds, 0) as share_2_5,
       seconds_3_5 / nullif(moving_seconds, 0) as share_3_5,
       seconds_6 / nullif(moving_seconds, 0) as share_6,
       seconds_10 / nullif(moving_seconds, 0) as share_10,
       turns / greatest(metres, 20) as turn_rate,
       speed_changes / greatest(metres, 20) as speed_change_rate,
       stops / greatest(metres, 20) as stop_rate,
       {{ distance_m('ax', 'ay', 'az', 'bx', 'by_', 'bz') }} / nullif(moving_seconds, 0) as net_speed,
       {{ distance_m('ax', 'ay', 'az', 'bx', 'by_', 'bz') }} / nullif(metres, 0) as straightness
from sums
