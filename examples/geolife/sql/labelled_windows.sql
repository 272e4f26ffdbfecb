-- All labelled windows before the end of the training's data interval.
select * from geolife.model_features where tdate < date '{{ data_interval_end | ds }}'
