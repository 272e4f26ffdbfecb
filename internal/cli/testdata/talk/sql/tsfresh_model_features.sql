-- What a model is trained on.
select * from talk.ts_features_walk_pvt
where {{ in_interval('tdate') }} and label is not null
