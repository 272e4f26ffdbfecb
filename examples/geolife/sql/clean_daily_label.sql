-- What the labels say about the day: clipped to it, one at a time. A label ends where the user's next one begins; of labels
-- that begin together the longest counts.
with parts as (
    select uid, tdate, uid || ' ' || cast(start_time as varchar) as segment_id, mode,
           cast(extract(epoch from greatest(start_time, cast(tdate as timestamp))) as bigint) as start_epoch,
           cast(extract(epoch from least(end_time, tdate + interval '1 day' - interval '1 second')) as bigint) as end_epoch
    from geolife.label
    where {{ in_interval('tdate') }} and end_time > start_time
),
one_at_a_time as (
    select uid, tdate, segment_id, mode, start_epoch,
           least(end_epoch, lead(start_epoch) over (partition by uid, tdate order by start_epoch, end_epoch, segment_id, mode) - 1) as end_epoch
    from parts
)
select uid, tdate, segment_id, mode, start_epoch, end_epoch
from one_at_a_time
where end_epoch >= start_epoch
