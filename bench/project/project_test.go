//go:build unix

// Package project_test measures how long a large project takes to validate: 1,000 pipelines of 12 tasks, with a SQL file
// for each task or with twelve that all pipelines share.
//
//	go test -run '^$' -bench . ./bench/project
package project_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"damson/internal/project"
)

const pipelines, tasks = 1000, 12

// sql is as long as a task's SQL usually is.
const sql = `-- task %d of pipeline %d
with day as (
    select id, uid, tdate, speed, lag(speed) over (partition by uid order by ttime) as before
    from {{ var.value.schema }}.trajectory
    where tdate >= '{{ data_interval_start | ds }}' and tdate < '{{ data_interval_end | ds }}'
)
select
    id, uid, tdate,
    {%% for q in [10, 25, 50, 75, 90] %%}
    percentile_cont({{ q / 100 }}) within group (order by speed) as speed_{{ q }},
    {%% endfor %%}
    {{ share('speed > ' ~ params.limit) }} as fast,
    avg(abs(speed - before)) as change
from day
{%% if var.value.schema != 'x' %%}
where speed is not null and tdate = '{{ ds }}'
{%% endif %%}
group by id, uid, tdate
`

// generate writes the project. Pipelines stand in one file each, or all in one file.
func generate(tb testing.TB, shared, oneFile bool) string {
	dir := tb.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	write("damson.yaml", "name: large\nvars: {schema: shop}\ndefaults: {retries: 2}\n")
	write("macros/share.sql", "{% macro share(c) %}avg(case when {{ c }} then 1.0 else 0.0 end){% endmacro %}\n")
	body := func(n string) string {
		file := `"sql/p%d/t%d.sql" % (N, i)`
		if shared {
			file = `"sql/t%d.sql" % i`
		}
		text := `p = pipeline(name = "p%d" % N, schedule = "0 %d * * *" % (N % 24), start = "2024-01-01", catchup = True, params = {"limit": 15})
t = [p.sql("t%d" % i, file = FILE, into = "shop.p%d_t%d" % (N, i), partition_by = "tdate", timeout = "1h") for i in range(12)]
[t[0], t[1]] >> t[2]
chain(*t[2:])
`
		return strings.ReplaceAll(strings.ReplaceAll(text, "FILE", file), "N", n)
	}
	for i := range tasks {
		if shared {
			write(fmt.Sprintf("sql/t%d.sql", i), fmt.Sprintf(sql, i, 0))
		}
	}
	for n := range pipelines {
		for i := range tasks {
			if !shared {
				write(fmt.Sprintf("sql/p%d/t%d.sql", n, i), fmt.Sprintf(sql, i, n))
			}
		}
		if !oneFile {
			write(fmt.Sprintf("pipelines/p%04d.star", n), body(fmt.Sprint(n)))
		}
	}
	if oneFile {
		body := strings.ReplaceAll(strings.TrimSpace(body("n")), "\n", "\n    ")
		write("pipelines/all.star", fmt.Sprintf("def declare(n):\n    %s\n\nfor n in range(%d):\n    declare(n)\n", body, pipelines))
	}
	return dir
}

// processorTime is what the process has used of all processors: unlike the clock it means the same on a busy machine.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkValidate(b *testing.B) {
	for _, c := range []struct {
		name            string
		shared, oneFile bool
	}{{"12000 SQL files, 1000 declarations", false, false}, {"12 shared SQL files, 1000 declarations", true, false}, {"12000 SQL files, one declaration", false, true}} {
		b.Run(c.name, func(b *testing.B) {
			dir := generate(b, c.shared, c.oneFile)
			before := processorTime(b)
			for b.Loop() {
				p, findings := project.Load(dir, project.Options{})
				if len(findings) > 0 || len(p.Pipelines) != pipelines {
					b.Fatalf("%d pipelines, %d findings, first: %v", len(p.Pipelines), len(findings), findings[:min(3, len(findings))])
				}
			}
			b.ReportMetric((processorTime(b)-before).Seconds()/float64(b.N), "cpu-s/op")
		})
	}
}
