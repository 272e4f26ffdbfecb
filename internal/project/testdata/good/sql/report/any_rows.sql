select count(*) from geolife.city
