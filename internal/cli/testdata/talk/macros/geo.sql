{# Lambert's formula for the distance of two points on the WGS84 ellipsoid, in three steps so that each is computed once a
   row: right to some ten metres over thousands of kilometres, and as exact as a double over the steps of a person.
   W. D. Lambert, "The distance between two widely separated points on the surface of the earth", 1942. #}

{# reduced_latitude gives radians; the factor is 1 - f. #}
{%- macro reduced_latitude(degrees) -%}
atan(0.996647189335253 * tan(radians({{ degrees }})))
{%- endmacro -%}

{# haversine gives the square of the sine of half the central angle: of reduced latitudes in radians, longitudes in degrees. #}
{%- macro haversine(beta1, lon1, beta2, lon2) -%}
power(sin(({{ beta2 }} - {{ beta1 }}) / 2.0), 2) + cos({{ beta1 }}) * cos({{ beta2 }}) * power(sin(radians({{ lon2 }} - {{ lon1 }}) / 2.0), 2)
{%- endmacro -%}

{# geodesic_metres takes a haversine and its reduced latitudes. Rounding can put the haversine of opposite points above 1. #}
{%- macro geodesic_metres(h, beta1, beta2) -%}
{%- set angle = '2.0 * asin(sqrt(least(1.0, ' ~ h ~ ')))' -%}
{%- set sine = '2.0 * sqrt(' ~ h ~ ' * greatest(0.0, 1.0 - ' ~ h ~ '))' -%}
{%- set p = '(' ~ beta1 ~ ' + ' ~ beta2 ~ ') / 2.0' -%}
{%- set q = '(' ~ beta2 ~ ' - ' ~ beta1 ~ ') / 2.0' -%}
6378137.0 * ({{ angle }} - 0.00167640533237 * (
    coalesce(({{ angle }} - {{ sine }}) * power(sin({{ p }}) * cos({{ q }}), 2) / nullif(greatest(0.0, 1.0 - {{ h }}), 0.0), 0.0)
    + coalesce(({{ angle }} + {{ sine }}) * power(cos({{ p }}) * sin({{ q }}), 2) / nullif({{ h }}, 0.0), 0.0)))
{%- endmacro -%}
