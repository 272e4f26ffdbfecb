select * from geolife.features where tdate = '{{ ds }}'
