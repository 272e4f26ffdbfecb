-- All labelled windows before the end of the training's data interval, by one of five modes. Windows of other modes (a boat, a
-- plane) have none here, and are not learned from.
select f.window_id, f.uid, f.segment_id, f.seconds,
       case when f.mode in ('car', 'taxi') then 'car' when f.mode in ('train', 'subway') then 'rail'
            when f.mode in ('walk', 'bike', 'bus') then f.mode end as mode,
       {{ feature_columns('f') }}
from geolife.model_features as f
where f.tdate < date '{{ data_interval_end | ds }}'
