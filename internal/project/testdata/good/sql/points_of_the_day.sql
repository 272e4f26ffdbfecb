select * from geolife.trajectory where tdate = '{{ ds }}' and city = '{{ params.city }}'
