-- Windows without a label, for scoring.
select f.window_id, f.uid, f.tdate, f.started, f.seconds,
       {{ feature_columns('f') }}
from geolife.window_features as f
left join geolife.window_label as l on l.uid = f.uid and l.tdate = f.tdate and l.window_epoch = f.window_epoch
where {{ in_interval('f.tdate') }} and l.window_id is null
