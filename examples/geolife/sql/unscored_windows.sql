-- The day's windows that predict_walk scores.
select * from geolife.predict_features where {{ in_interval('tdate') }}
