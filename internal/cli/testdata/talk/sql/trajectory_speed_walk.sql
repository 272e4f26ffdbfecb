-- Whether the person walked, unknown without a mode, and no speeds that the mode rules out.
select
    tdate, uid, trajectory_id, mode = 'walk' as label, ts, file, line, distance_miles, interval_hour, speed
from talk.trajectory_label_speed
where {{ in_interval('tdate') }}
  and (mode is null
    or mode = 'walk' and speed <= {{ var.value.max_walk_mph }}
    or mode <> 'walk' and speed <= {{ var.value.max_mph }})
