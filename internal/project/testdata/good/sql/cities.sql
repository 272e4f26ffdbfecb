select {{ item | literal }} as city, {{ map_index }} as n
