-- Windows without a label, for scoring.
select f.window_id, f.uid, f.tdate, f.started, f.seconds,
       {{ feature_columns('f') }}
from geolife.window_features as f
left join geolife.window_label as l on l.window_id = f.window_id and l.tdate = f.tdate
where {{ in_interval('f.tdate') }} and l.window_id is null
