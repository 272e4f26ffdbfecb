select *, {{ mph('speed') }} as mph from geolife.trajectory where tdate = '{{ ds }}' and speed < {{ params.speed }}
