{# Points as Earth-centred coordinates in metres on the WGS84 ellipsoid (x through 0° N 0° E, z through the north pole):
   distances between them need no projection and hold at the poles and across the date line. #}

{% macro prime_vertical(lat) -%}
(6378137.0 / sqrt(1 - 0.0066943799901414 * sin(radians({{ lat }})) * sin(radians({{ lat }}))))
{%- endmacro %}

{% macro earth_x(lat, lon) -%}
({{ prime_vertical(lat) }} * cos(radians({{ lat }})) * cos(radians({{ lon }})))
{%- endmacro %}

{% macro earth_y(lat, lon) -%}
({{ prime_vertical(lat) }} * cos(radians({{ lat }})) * sin(radians({{ lon }})))
{%- endmacro %}

{% macro earth_z(lat) -%}
({{ prime_vertical(lat) }} * 0.9933056200098586 * sin(radians({{ lat }})))
{%- endmacro %}

{# Metres over ground between two points a and b of the columns x, y, z: the chord bent to an arc of the mean Earth. Anywhere
   on Earth within 0.005 % of the geodesic up to 2,000 km, within 0.5 % up to 14,000 km. #}
{% macro distance_m(ax, ay, az, bx, by, bz) -%}
(12742017.6 * asin(least(1.0, sqrt(({{ ax }} - {{ bx }}) * ({{ ax }} - {{ bx }}) + ({{ ay }} - {{ by }}) * ({{ ay }} - {{ by }}) + ({{ az }} - {{ bz }}) * ({{ az }} - {{ bz }})) / 12742017.6)))
{%- endmacro %}

{# The rows of the data interval, one day or many. #}
{% macro in_interval(column) -%}
{{ column }} >= date '{{ data_interval_start | ds }}' and {{ column }} < date '{{ data_interval_end | ds }}'
{%- endmacro %}
