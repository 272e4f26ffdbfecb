delete from geolife.trajectory where tdate < '{{ macros.ds_add(ds, -30) }}';
analyze;
