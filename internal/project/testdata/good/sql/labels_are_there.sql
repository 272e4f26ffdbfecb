select count(*) > 0 as there from geolife.label where day = '{{ ds }}'
