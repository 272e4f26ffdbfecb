-- Labelled windows, for training.
select f.window_id, f.uid, f.tdate, l.segment_id, l.mode, case when l.mode = 'walk' then 1 else 0 end as label, l.seconds,
       {{ feature_columns('f') }}
from geolife.window_features as f
join geolife.window_label as l on l.uid = f.uid and l.tdate = f.tdate and l.window_epoch = f.window_epoch
where {{ in_interval('f.tdate') }} and {{ in_interval('l.tdate') }}
