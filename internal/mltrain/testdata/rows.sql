-- Rows for tests, the same on every engine that knows md5: six features, of which x0, x1 and x2 decide with noise, and
-- 40 people of 100 rows each, who differ a little. reference.py makes the same rows.
with numbers as (
  select n.i, f.k, cast(('0x' || substr(md5(n.i || '|' || f.k), 1, 7)) as bigint) / 268435456.0 as u
  from range(4000) as n(i), range(8) as f(k)
), wide as (
  select i, max(u) filter (where k = 0) as x0, max(u) filter (where k = 1) as x1, max(u) filter (where k = 2) as x2,
         max(u) filter (where k = 3) as x3, max(u) filter (where k = 4) as x4, max(u) filter (where k = 5) as x5,
         max(u) filter (where k = 6) as noise, max(u) filter (where k = 7) as hole
  from numbers group by i
)
select 'r' || i as id, 'person ' || (i % 40) as person, 'trip ' || (i // 10) as trip, 1 + i % 7 as seconds,
       case when hole < 0.05 then null else x0 end as x0, x1, x2 > 0.3 as x2, cast(x3 * 100 as integer) as x3, x4, x5,
       case when x0 + x1 * x1 + case when x2 > 0.3 then 0.4 else 0.0 end + noise + (i % 40) * 0.005 > 1.75 then 1 else 0 end as label
from wide
