{# Points as Earth-centred coordinates on the WGS84 ellipsoid (x through 0° N 0° E, z through the north pole): distances
   between them need no projection, hold at the poles and across the date line, and mean places are means of coordinates.
   In whole micrometres: below 2^53, sums of whole doubles are exact, so they are the same in any order and on every engine. #}

{% macro prime_vertical(lat) -%}
(6378137000000.0 / sqrt(1 - 0.0066943799901414 * sin(radians({{ lat }})) * sin(radians({{ lat }}))))
{%- endmacro %}

{% macro earth_x(lat, lon) -%}
floor({{ prime_vertical(lat) }} * cos(radians({{ lat }})) * cos(radians({{ lon }})) + 0.5)
{%- endmacro %}

{% macro earth_y(lat, lon) -%}
floor({{ prime_vertical(lat) }} * cos(radians({{ lat }})) * sin(radians({{ lon }})) + 0.5)
{%- endmacro %}

{% macro earth_z(lat) -%}
floor({{ prime_vertical(lat) }} * 0.9933056200098586 * sin(radians({{ lat }})) + 0.5)
{%- endmacro %}

{# Metres of the straight line (dx, dy, dz). #}
{% macro metres(dx, dy, dz) -%}
(sqrt(({{ dx }}) * ({{ dx }}) + ({{ dy }}) * ({{ dy }}) + ({{ dz }}) * ({{ dz }})) / 1000000)
{%- endmacro %}

{# Metres over ground between two points a and b: the straight line bent to an arc whose diameter is the sum of their distances
   from the Earth's centre. Within 0.2 % of the geodesic between any two points, within a millionth from 1 m to 100 km. #}
{% macro distance_m(ax, ay, az, bx, by, bz) -%}
{% set diameter = '(' ~ metres(ax, ay, az) ~ ' + ' ~ metres(bx, by, bz) ~ ')' -%}
({{ diameter }} * asin(least(1.0, {{ metres(bx ~ ' - ' ~ ax, by ~ ' - ' ~ ay, bz ~ ' - ' ~ az) }} / {{ diameter }})))
{%- endmacro %}
