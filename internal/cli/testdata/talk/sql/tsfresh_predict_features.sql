-- What a model has not seen the label of.
select * from talk.ts_features_walk_pvt
where {{ in_interval('tdate') }} and label is null
