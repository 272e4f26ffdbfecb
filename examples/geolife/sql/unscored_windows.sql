-- The windows of the day that models score.
select * from geolife.predict_features where {{ in_interval('tdate') }}
