"""Writes jinja.json: what Jinja 3.1 (StrictUndefined, the do extension: Airflow's settings) renders for these templates.

    python3 jinja.py > jinja.json

Each case is a template; "error" says that Jinja refuses it. The values are those of VALUES, which jinja_test.go repeats.
"""
import datetime
import json
import sys

import jinja2

START = datetime.datetime(2018, 1, 1, tzinfo=datetime.timezone.utc)
VALUES = {
    "n": 3, "f": 2.5, "s": "Hello World", "none_value": None, "flag": True, "empty": [],
    "names": ["b", "A", "c", "a"], "numbers": [3, 1, 2], "pair": ("x", "y"),
    "d": {"one": 1, "two": {"three": 3}, "items_": [1, 2]},
    "rows": [{"name": "walk", "kind": "foot", "km": 2}, {"name": "bike", "kind": "wheel", "km": 9}, {"name": "run", "kind": "foot", "km": 5}],
    "ds": "2018-01-01", "start": START, "datetime": datetime.datetime, "timedelta": datetime.timedelta,
}

CASES = r"""
plain text
{{ n }} {{ f }} {{ s }} {{ none_value }} {{ flag }} {{ names }} {{ pair }} {{ d }}
{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 2 ** 10 }} {{ 2 ** 3 ** 2 }} {{ 2 ** -1 }}
{{ 'a' ~ 1 ~ none }} {{ "x" * 3 }} {{ [1] + [2] }} {{ (1,) + (2,) }}
{{ 1 < 2 < 3 }} {{ 3 > 2 > 5 }} {{ 1 == 1.0 }} {{ 'a' != 'b' }} {{ 1 in [1, 2] }} {{ 3 not in [1, 2] }} {{ 'ell' in s }} {{ 'one' in d }}
{{ not flag }} {{ flag and n }} {{ false or 'x' }} {{ none or 'x' }} {{ 0 or '' or [] }} {{ not 1 == 2 }}
{{ 'yes' if flag else 'no' }} {{ 'yes' if not flag else 'no' }} {{ 1 if false else 2 if false else 3 }}
{{ 'x' if false }}
{{ names[0] }} {{ names[-1] }} {{ names[1:3] }} {{ names[::-1] }} {{ s[0] }} {{ s[-5:] }} {{ s[::2] }} {{ 'äöü'[1] }} {{ 'äöü'[:2] }} {{ numbers[5:] }}
{{ d.one }} {{ d['one'] }} {{ d.two.three }} {{ d['two']['three'] }} {{ rows[0].name }} {{ rows.0.name }} {{ pair.1 }}
{{ d.get('one') }} {{ d.get('nope', 5) }} {{ d.keys() | list }} {{ d.items() | list | length }}
{{ s.upper() }} {{ s.lower() }} {{ s.replace('l', 'L') }} {{ s.split(' ') }} {{ ','.join(names) }} {{ s.startswith('He') }} {{ s.find('o') }} {{ '7'.zfill(3) }} {{ '-7'.zfill(4) }} {{ 'ab'.rjust(4) }}|{{ 'ab'.ljust(4, '.') }}|{{ 'ab'.center(5) }}
{{ '%s-%02d-%5.2f|%-5s|%+d|%x|%%' % ('a', 7, 3.14159, 'ab', 5, 255) }} {{ '%d' % 3 }} {{ '%(a)s' % {'a': 1} }} {{ '%05d' % 42 }} {{ '%e' % 12345.678 }} {{ '%g' % 1e10 }}
{{ '{:02d} {:>5} {:<5}| {:^5} {:.2f} {:,} {:%}'.format(7, 'ab', 'ab', 'ab', 3.14159, 1234567, 0.25) }} {{ '{0}{1}{0}'.format('a', 'b') }} {{ '{x}'.format(x=1) }} {{ '{{}}'.format() }} {{ '{:x}'.format(255) }} {{ '{:+d}'.format(5) }} {{ '{:05.1f}'.format(2.25) }}
{{ "it's" }} {{ 'say "x"' }} {{ ["it's", 'say "x"', "a\nb", 'back\\slash'] }} {{ 'tab\there' }} {{ '\x41\u00e4' }}
{{ 1.0 }} {{ 1e16 }} {{ 1e15 }} {{ 1e-5 }} {{ 0.0001 }} {{ 123456789.125 }} {{ 1_000 }} {{ 0x1f }} {{ 0b101 }} {{ 1e3 }} {{ 10 / 4 }} {{ 4 / 2 }}
{{ -n | abs }} {{ (-5) | abs }} {{ -5 | abs }}
{{ [1, 2, ] }} {{ {'a': 1, 'b': [1, 2]} }} {{ () }} {{ (1,) }} {{ 1, 2 }} {{ {} }} {{ [] }}
{{ 'a' 'b' }} {{ "a" ~ 'b' 'c' }}
{% if n > 2 %}big{% elif n > 1 %}middle{% else %}small{% endif %} {% if n > 5 %}big{% elif n > 1 %}middle{% else %}small{% endif %} {% if false %}x{% endif %}
{% for x in numbers %}{{ x }},{% endfor %} {% for x in [] %}x{% else %}none{% endfor %} {% for x in numbers if x > 1 %}{{ loop.index }}={{ x }} {% endfor %}
{% for x in names %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}
{% for x in names %}{{ loop.cycle('odd', 'even') }} {% endfor %}{% for x in [1, 1, 2] %}{{ loop.changed(x) }} {% endfor %}
{% for x in numbers %}{% if not loop.first %}{{ loop.previtem }}<{% endif %}{{ x }}{% if loop.nextitem is defined %}>{{ loop.nextitem }}{% endif %} {% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %} {% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %} {% for k in d %}{{ k }} {% endfor %} {% for c in 'abc' %}{{ c }}-{% endfor %}
{% for x in 1, 2, 3 %}{{ x }}{% endfor %} {% for x in range(3) %}{{ x }}{% endfor %} {% for x in range(1, 10, 3) %}{{ x }}{% endfor %} {% for x in numbers|sort %}{{ x }}{% endfor %}
{% for x in numbers %}{% for y in numbers %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}
{% set x = 5 %}{{ x }} {% set a, b = 1, 2 %}{{ a }}{{ b }} {% set t %}block {{ x }}{% endset %}{{ t }} {% set u | upper %}abc{% endset %}{{ u }}
{% set x = 1 %}{% for i in [1, 2] %}{% set x = 2 %}{{ x }}{% endfor %}{{ x }} {% if true %}{% set x = 3 %}{% endif %}{{ x }}
{% set ns = namespace(total=0) %}{% for x in numbers %}{% set ns.total = ns.total + x %}{% endfor %}{{ ns.total }}
{% macro m(a, b=2, c='z') %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, c='y') }}{{ m(a=1) | upper }}{{ m(1) ~ m(2) }}
{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}
{% macro m(a) %}<{{ a }}:{{ caller() }}>{% endmacro %}{% call m(1) %}body {{ n }}{% endcall %}
{% macro each(items) %}{% for i in items %}{{ caller(i) }}{% endfor %}{% endmacro %}{% call(i) each(numbers) %}({{ i }}){% endcall %}
{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}
{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}{{ m(1) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m() }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=1) }}
{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m.name }}{{ m.arguments }}
{% macro m() %}{{ later }}{% endmacro %}{% set later = 5 %}{{ m() }}
{% filter upper %}abc {{ s }}{% endfilter %} {% filter trim | replace('a', 'b') %} aaa {% endfilter %}
{% with a = 1, b = 2 %}{{ a + b }}{% endwith %} {% with %}{% set q = 1 %}{{ q }}{% endwith %}
{% set l = [] %}{% do l.append(1) %}{% do l.append(2) %}{{ l }}
a  {%- if true %}  b  {%- endif -%}  c {{- ' d ' -}} e {#- comment -#} f {%+ if true +%} g {% endif %}
{% raw %}{{ not }} {% rendered %} {# at all #}{% endraw %} x {%- raw -%}  y  {%- endraw -%}  z
before {# comment {{ n }} #} after {# multi
line #} end
{{ '}}' }} {{ "%}" }} {{ {'a': {'b': 1}} }}
{{ nope }}
{{ nope.attr }}
{{ d.nope }}
{{ d['nope'] }}
{{ names[10] }}
{{ nope | default('x') }} {{ nope | d }} {{ d.nope | default('y') }} {{ none_value | default('z') }} {{ none_value | default('z', true) }} {{ '' | default('z', boolean=true) }} {{ n | default(0) }} {{ names[10] | default('q') }}
{{ nope is defined }} {{ n is defined }} {{ nope is undefined }} {{ d.nope is defined }} {{ d.one is defined }} {{ nope is not defined }} {{ names[10] is defined }}
{% if nope %}x{% endif %}
{% for x in nope %}{% endfor %}
{{ nope + 1 }}
{{ none_value is none }} {{ n is number }} {{ n is integer }} {{ f is float }} {{ s is string }} {{ d is mapping }} {{ names is iterable }} {{ names is sequence }} {{ n is even }} {{ n is odd }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ flag is true }} {{ flag is false }} {{ flag is boolean }} {{ 1 is boolean }}
{{ n is eq 3 }} {{ n is ne 3 }} {{ n is lt 4 }} {{ n is le 3 }} {{ n is gt 3 }} {{ n is ge 3 }} {{ n is in [3] }} {{ n is not in [3] }} {{ n is sameas n }} {{ 'abc' is lower }} {{ 'ABC' is upper }} {{ n is equalto 3 }} {{ n is greaterthan 2 }}
{{ n is even and n is odd }} {{ not n is even }} {{ 'x' if n is odd else 'y' }}
{{ s | upper }} {{ s | lower }} {{ 'hELLO wORLD' | capitalize }} {{ 'hello my-world foo(bar)' | title }} {{ '  x ' | trim }} {{ 'xxaxx' | trim('x') }} {{ s | replace('o', '0') }} {{ s | replace('o', '0', 1) }} {{ s | length }} {{ names | count }} {{ 'äö' | length }}
{{ names | first }} {{ names | last }} {{ 'abc' | first }} {{ 'abc' | list }} {{ names | list }} {{ range(3) | list }} {{ 'abc' | reverse }} {{ numbers | reverse | list }}
{{ empty | first }}
{{ empty | first | default('none') }} {{ empty | max | default('m') }}
{{ numbers | sort }} {{ numbers | sort(reverse=true) }} {{ names | sort }} {{ names | sort(case_sensitive=true) }} {{ rows | sort(attribute='km') | map(attribute='name') | list }} {{ rows | sort(attribute='kind,name') | map(attribute='name') | join(',') }}
{{ names | unique | list }} {{ ['b', 'B', 'a'] | unique(case_sensitive=true) | list }} {{ rows | unique(attribute='kind') | map(attribute='name') | list }}
{{ rows | map(attribute='name') | join(', ') }} {{ rows | map(attribute='nope', default='-') | join }} {{ names | map('upper') | join('|') }} {{ rows | join(', ', attribute='km') }} {{ numbers | map('string') | list }} {{ [1.234, 5.678] | map('round', 1) | list }}
{{ numbers | select('odd') | list }} {{ numbers | reject('odd') | list }} {{ numbers | select('gt', 1) | list }} {{ [0, 1, ''] | select | list }} {{ rows | selectattr('kind', 'eq', 'foot') | map(attribute='name') | list }} {{ rows | rejectattr('km', 'lt', 5) | map(attribute='name') | list }} {{ rows | selectattr('nope', 'defined') | list }}
{{ numbers | sum }} {{ rows | sum(attribute='km') }} {{ numbers | sum(start=10) }} {{ numbers | min }} {{ numbers | max }} {{ names | min }} {{ rows | max(attribute='km') }}
{{ -3 | abs }} {{ 2.675 | round(2) }} {{ 2.5 | round }} {{ 3.5 | round }} {{ 42 | round }} {{ 2.1 | round(method='ceil') }} {{ 2.19 | round(1, 'floor') }} {{ 1234.5 | round(-2) }}
{{ '42' | int }} {{ '42.7' | int }} {{ 'x' | int }} {{ 'x' | int(7) }} {{ 3.9 | int }} {{ '0x1f' | int(base=16) }} {{ 'ff' | int(base=16) }} {{ none_value | int }} {{ true | int }} {{ '-3' | int }}
{{ '1.5' | float }} {{ 'x' | float }} {{ 3 | float }} {{ 'x' | float(1.5) }} {{ n | string }} {{ [1] | string }}
{{ d | tojson }} {{ "<a href='x'>&" | tojson }} {{ [1, 2.5, none, true, 'x'] | tojson }} {{ {'b': 1, 'a': [1, {}]} | tojson(indent=2) }}
{{ 'a\nb\n\nc' | indent }} {{ 'a\nb' | indent(2, true) }} {{ 'a\n\nb' | indent(2, blank=true) }} {{ 'a\nb' | indent('> ') }}
{{ '%s and %s' | format('a', 'b') }} {{ '%(x)d' | format(x=3) }}
{{ [1, 2, 3, 4, 5] | batch(2) | list }} {{ [1, 2, 3] | batch(2, 0) | list }} {{ [1, 2, 3, 4, 5] | slice(2) | list }} {{ [1, 2, 3, 4, 5] | slice(3, 'x') | list }}
{{ {'b': 1, 'A': 2} | dictsort }} {{ {'b': 1, 'A': 2} | dictsort(by='value', reverse=true) }} {{ {'b': 1, 'A': 2} | dictsort(true) }} {{ {'a': 1} | items | list }}
{{ 'one two, three' | wordcount }} {{ 'a long text to cut somewhere' | truncate(12) }} {{ 'a long text to cut somewhere' | truncate(12, true) }} {{ 'short' | truncate(3) }} {{ 'a long text to cut somewhere' | truncate(12, leeway=0, end='…') }}
{% for kind, list in rows | groupby('kind') %}{{ kind }}:{{ list | map(attribute='name') | join(',') }};{% endfor %} {% for g in rows | groupby('kind') %}{{ g.grouper }}{{ g.list | length }}{% endfor %}
{{ 'x' | center(5) }}| {{ 'x' | safe }} {{ rows[0] | attr('nope') | default('-') }}
{{ s | nope }}
{{ rows | selectattr('nope') | list }}
{{ n is == 3 }}
{{ ('x' if false) is defined }}{{ ('x' if false) | default('y') }}{{ ('x' if false) ~ 'z' }}
{{ s is nope }}
{% nope %}
{{ 1 + 'a' }}
{{ n.nope() }}
{{ n() }}
{{ n | join }}
{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }} {% set j = joiner(';') %}{{ j() }}a{{ j() }}b
{{ dict(a=1) }} {{ dict(a=1).a }}
{{ start }} {{ start.isoformat() }} {{ start.strftime('%Y%m%d %H:%M:%S %j %A %a %B %b %p %I %y %U %W %u %w %V %G %%') }} {{ start.year }} {{ start.date() }} {{ start.timestamp() }} {{ start.weekday() }} {{ start.isoweekday() }}
{{ start + timedelta(days=1) }} {{ start - timedelta(hours=1) }} {{ (start + timedelta(days=1, seconds=5)) - start }} {{ timedelta(days=-1) }} {{ timedelta(hours=25) }} {{ timedelta(milliseconds=1500) }} {{ timedelta(days=2).total_seconds() }} {{ timedelta(days=3) / 2 }} {{ timedelta(days=3) // timedelta(days=2) }} {{ -timedelta(hours=1) }} {{ timedelta(1) * 3 }} {{ timedelta(hours=36).days }} {{ timedelta(hours=36).seconds }}
{{ start < start + timedelta(1) }} {{ start == start }} {{ start.replace(day=15, hour=3) }} {{ start.replace(tzinfo=none) }} {{ (start + timedelta(microseconds=5)) }} {{ (start + timedelta(microseconds=5)).isoformat() }}
{{ datetime(2018, 2, 3) }} {{ datetime(2018, 2, 3, 4, 5, 6).isoformat() }} {{ datetime.strptime(ds, '%Y-%m-%d') }} {{ datetime.strptime('03Feb2018 14:05', '%d%b%Y %H:%M').strftime('%-d.%-m.%y') }} {{ datetime.strptime('2018-01-01T00:00:00+0100', '%Y-%m-%dT%H:%M:%S%z') }} {{ (datetime.strptime(ds, '%Y-%m-%d') + timedelta(days=31)).strftime('%Y-%m-01') }} {{ datetime.fromisoformat('2018-05-06') }}
{{ datetime(2018, 2, 30) }}
{{ start < datetime(2018, 1, 1) }}
{{ start == datetime(2018, 1, 1) }}
{{ datetime.strptime('x', '%Y') }}
{{ start.isocalendar()[1] }} {{ start.toordinal() }} {{ '{:%Y/%m/%d}'.format(start) }} {{ datetime(2016, 2, 29).strftime('%j %U %W %V') }} {{ datetime(2017, 1, 1).strftime('%U %W %V %G %u') }}
{{ (1, 2) == (1, 2) }} {{ [1] == [1] }} {{ [3, 1] | sort | first }} {{ (1, 'a')[1] }}
{{ names | join }} {{ [[1, 2], [3]] | sum(start=[]) }} {{ [1, [2, 3]] }}
{{ 'a' if n == 3 else 'b' if n == 4 else 'c' }} {{ (n if n else 0) + 1 }}
{{ n|string ~ '-' ~ f|string }} {{ n ~ f }} {{ -1 ** 2 }} {{ (1 + 2) * 3 }}
{{ s|upper|lower|title }} {{ s | replace("World", n | string) }}
{% if s is string and n is number or nope is defined %}ok{% endif %}
{% for row in rows %}{{ row.name }}{{ "," if not loop.last }}{% endfor %}
{% for row in rows %}{{ row.name }}{{ "," if not loop.last else "" }}{% endfor %}
{{ loop }}
{% if true %}{% for x in [1] %}{% endif %}
{{ 'unclosed }}
{{ (1 }}
{% endfor %}
{% for in x %}{% endfor %}
{{ 1 + }}
{{ a b }}
{% set = 1 %}
{% macro %}{% endmacro %}
{% if %}{% endif %}
{{ }}
{{ f(a=1, 2) }}
{% set a %}
{% raw %} x
{# x
""".strip("\n").split("\n")

# A case may hold line ends: these stand as \n only inside comments, so two cases are joined again here.
joined = []
for case in CASES:
    if joined and joined[-1].count("{#") > joined[-1].count("#}") and "multi" in joined[-1]:
        joined[-1] += "\n" + case
    else:
        joined.append(case)

env = jinja2.Environment(undefined=jinja2.StrictUndefined, extensions=["jinja2.ext.do"])
out = []
for case in joined:
    try:
        out.append({"template": case, "output": env.from_string(case).render(VALUES)})
    except Exception as e:  # what Jinja refuses, in whatever way
        out.append({"template": case, "error": type(e).__name__})
json.dump(out, sys.stdout, indent=1, ensure_ascii=False)
print()
