select id, tdate from geolife.landing where tdate = '{{ ds }}'
