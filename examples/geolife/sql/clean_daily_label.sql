-- Labels that end on the day they start and last at least a moment; the same label twice counts once.
select uid, tdate, uid || ' ' || cast(start_time as text) as segment_id, mode,
       cast(extract(epoch from start_time) as bigint) as start_epoch, cast(extract(epoch from max(end_time)) as bigint) as end_epoch
from geolife.label
where {{ in_interval('tdate') }} and cast(end_time as date) = tdate and end_time > start_time
group by uid, tdate, start_time, mode
