"""Writes cron_ticks.txt: ticks as croniter has them, the library behind Airflow's cron timetables.

    python3 -m venv venv && venv/bin/pip install croniter==7.0.0 && venv/bin/python cron_ticks.py > cron_ticks.txt

All times are UTC: where clocks change, Airflow and Damson are two things (docs/schedules.md). croniter writes seconds last and
the last Friday as L5; the expressions in cron_ticks.txt are written as Damson reads them.
"""
import random
from datetime import datetime

from croniter import croniter

WRITTEN = """
@hourly
@daily
@weekly
@monthly
@yearly
0 0 1 */3 *
* * * * *
*/7 * * * *
5/20 * * * *
0 0 * * *
30 6 * * MON-FRI
30 6 * * 1-5
0 9-17/2 * * *
0,30 8-10 * JAN,JUL MON
0 6 29 2 *
0 0 31 * *
0 0 30 * *
0 0 L * *
0 12 15,L * *
0 0 15,L 2 *
0 0 15W * *
0 0 1W * *
0 0 31W * *
0 9 * * MON#1
0 9 * * SUN#5
0 9 * * 3#2,5#4
0 9 * * 5L
0 9 * * 0L
0 9 * * 7
0 9 * * 0
0 9 * * FRI-MON
0 9 * * sun
0 0 13 * FRI
0 0 */2 * MON
0 0 1-7 * */2
0 0 1 1 *
59 23 31 12 *
0 0 1 jan-mar,dec *
0 22 * 2 7
15 10 ? * 6
*/20 59 23 * * *
0 0 12 1 * *
30 15 0,12 L * *
7-9 0 0 * * WED
""".split("\n")


def part(r, low, high):
    kind = r.random()
    a, b = sorted(r.sample(range(low, high + 1), 2))
    if kind < 0.35:
        return "*"
    if kind < 0.6:
        return str(a)
    if kind < 0.7:
        return "%d,%d" % (a, b)
    if kind < 0.85:
        return "%d-%d" % (a, b)
    if kind < 0.95:
        return "*/%d" % r.randint(2, max(2, (high - low) // 2))
    return "%d-%d/%d" % (a, b, r.randint(2, 5))


def drawn(r):
    return " ".join(part(r, low, high) for low, high in ((0, 59), (0, 23), (1, 28), (1, 12), (0, 6)))


def theirs(expr):
    fields = expr.split()
    if len(fields) == 6:
        fields = fields[1:] + fields[:1]
    if len(fields) > 4 and fields[4].endswith("L"):
        fields[4] = "L" + fields[4][:-1]
    return " ".join(fields)


def main():
    r = random.Random(7)
    print("# expression | from | the next ticks, in UTC. Written by cron_ticks.py.")
    for expr in [e for e in WRITTEN if e] + [drawn(r) for _ in range(150)]:
        for start in datetime(2007, 12, 30, 22, 17), datetime(2008, 2, 27, 23, 59, 30):
            ticks = croniter(theirs(expr), start)
            print(expr, start.isoformat(), " ".join(ticks.get_next(datetime).isoformat() for _ in range(6)), sep=" | ")


main()
