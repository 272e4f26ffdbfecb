//go:build duckdb_arrow

package duckdb_test

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/duckdb"
	"damson/internal/warehouse/rows"
)

var firstDay = time.Date(2007, 4, 12, 0, 0, 0, 0, time.UTC)

// source makes a database file whose table source has so many rows on each of so many days, in the order of days.
func source(b *testing.B, days, perDay int) *duckdb.Warehouse {
	b.Helper()
	w, err := duckdb.Open(b.Context(), duckdb.Options{Path: filepath.Join(b.TempDir(), "bench.duckdb")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = w.Close() })
	must(b, w, fmt.Sprintf(`CREATE TABLE source AS SELECT x AS id, DATE '2007-04-12' + CAST(x // %d AS integer) AS tdate, x %% 180 AS uid,
		x * 0.37 AS lat, x * 0.73 AS lon, 'm' || CAST(x %% 7 AS text) AS mode, TIMESTAMP '2007-04-12' + INTERVAL (x) SECOND AS moment, x %% 2 = 0 AS ok
		FROM generate_series(0, %d) AS g(x)`, perDay, days*perDay-1))
	return w
}

func must(b *testing.B, q driver.Querier, statements ...string) {
	b.Helper()
	for _, sql := range statements {
		if _, err := q.Exec(b.Context(), sql); err != nil {
			b.Fatal(err)
		}
	}
}

const between = `SELECT id, tdate, uid, lat, lon, mode, moment, ok FROM source WHERE tdate >= DATE '%s' AND tdate < DATE '%s'`

// bare does what Into does with the fewest statements.
func bare(b *testing.B, w *duckdb.Warehouse, from, to string) {
	b.Helper()
	tx, err := w.Begin(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	must(b, tx, fmt.Sprintf(`DELETE FROM bare WHERE tdate >= DATE '%s' AND tdate < DATE '%s'`, from, to), `INSERT INTO bare `+fmt.Sprintf(between, from, to))
	if err := tx.Commit(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// cpu is the processor time that this process has used, all threads together; unlike wall time it tells little of what
// else the machine does.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkInto compares a task's Into, ledger included, with the bare DELETE and INSERT, on days of 1,000 rows and on one
// interval of 3 million rows. The two alternate, so that both meet the same machine.
func BenchmarkInto(b *testing.B) {
	for _, c := range []struct {
		name               string
		days, perDay, span int
	}{{"day", 200, 1000, 1}, {"3M", 30, 100_000, 30}} {
		b.Run(c.name, func(b *testing.B) {
			d := source(b, c.days, c.perDay)
			w, err := warehouse.New(b.Context(), d)
			if err != nil {
				b.Fatal(err)
			}
			must(b, d, `CREATE TABLE bare AS SELECT * FROM source LIMIT 0`, `CREATE TABLE portable AS SELECT * FROM source LIMIT 0`)
			target := pipeline.Target{Into: "portable", PartitionBy: "tdate"}
			var plain, into, plainCPU, intoCPU time.Duration
			for i := 0; b.Loop(); i++ {
				start := firstDay.AddDate(0, 0, i*c.span%c.days)
				interval := warehouse.Interval{Start: start, End: start.AddDate(0, 0, c.span)}
				from, to := interval.Start.Format(time.DateOnly), interval.End.Format(time.DateOnly)
				t0, c0 := time.Now(), cpu()
				bare(b, d, from, to)
				t1, c1 := time.Now(), cpu()
				claims := []run.Claim{{RunID: fmt.Sprint("run", i), Task: "task", Attempt: 1}}
				err := w.Do(b.Context(), claims, func(tx *warehouse.Tx) (any, error) {
					return tx.Into(b.Context(), sqltext.Plain("sql/x.sql", fmt.Sprintf(between, from, to)), target, interval)
				})
				if err != nil {
					b.Fatal(err)
				}
				plain += t1.Sub(t0)
				into += time.Since(t1)
				plainCPU += c1 - c0
				intoCPU += cpu() - c1
			}
			b.ReportMetric(plain.Seconds()*1e3/float64(b.N), "bare-ms/op")
			b.ReportMetric(into.Seconds()*1e3/float64(b.N), "into-ms/op")
			b.ReportMetric(into.Seconds()/plain.Seconds(), "ratio")
			b.ReportMetric((intoCPU-plainCPU).Seconds()*1e3/float64(b.N), "more-cpu-ms/op")
			b.ReportMetric(intoCPU.Seconds()/plainCPU.Seconds(), "cpu-ratio")
		})
	}
}

// BenchmarkIntoEach measures what telling a million rows apart by their days adds to writing them.
func BenchmarkIntoEach(b *testing.B) {
	const days = 50
	d := source(b, days, 20_000)
	w, err := warehouse.New(b.Context(), d)
	if err != nil {
		b.Fatal(err)
	}
	must(b, d, `CREATE TABLE portable AS SELECT * FROM source`)
	target := pipeline.Target{Into: "portable", PartitionBy: "tdate"}
	var intervals []warehouse.Interval
	for i := range days {
		intervals = append(intervals, warehouse.Interval{Start: firstDay.AddDate(0, 0, i), End: firstDay.AddDate(0, 0, i+1)})
	}
	whole := warehouse.Interval{Start: firstDay, End: firstDay.AddDate(0, 0, days)}
	sel := sqltext.Plain("sql/x.sql", fmt.Sprintf(between, whole.Start.Format(time.DateOnly), whole.End.Format(time.DateOnly)))
	var took [2]time.Duration // by way: 0 Into, 1 IntoEach
	for i := 0; b.Loop(); i++ {
		for k := range took {
			way := (i + k) % 2 // each meets as often what the other leaves behind
			before := cpu()
			err := w.Do(b.Context(), nil, func(tx *warehouse.Tx) (any, error) {
				if way == 0 {
					return tx.Into(b.Context(), sel, target, whole)
				}
				_, each, err := tx.IntoEach(b.Context(), sel, target, intervals)
				return each, err
			})
			if err != nil {
				b.Fatal(err)
			}
			took[way] += cpu() - before
		}
	}
	one, each := took[0], took[1]
	b.ReportMetric(one.Seconds()*1e3/float64(b.N), "into-cpu-ms/op")
	b.ReportMetric((each-one).Seconds()*1e3/float64(b.N), "more-cpu-ms/op")
	b.ReportMetric(each.Seconds()/one.Seconds(), "cpu-ratio")
}

// batches is a stream that gives one batch again and again.
func batches(b *testing.B, n int) array.RecordReader {
	b.Helper()
	schema := arrow.NewSchema([]arrow.Field{
		rows.Field("id", rows.BigintType), rows.Field("tdate", rows.DateType), rows.Field("uid", rows.BigintType), rows.Field("lat", rows.DoubleType),
		rows.Field("lon", rows.DoubleType), rows.Field("mode", rows.TextType), rows.Field("moment", rows.TimestampType), rows.Field("ok", rows.BooleanType),
	}, nil)
	values := make([][]any, 32768)
	for i := range values {
		values[i] = []any{i, firstDay.AddDate(0, 0, i%30), i % 180, float64(i) * 0.37, float64(i) * 0.73, fmt.Sprint("mode", i%7), firstDay.Add(time.Duration(i) * time.Second), i%2 == 0}
	}
	one, err := rows.New(schema, values)
	if err != nil {
		b.Fatal(err)
	}
	one.Next()
	again := make([]arrow.RecordBatch, n)
	for i := range again {
		again[i] = one.RecordBatch()
	}
	r, err := array.NewRecordReader(schema, again)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// BenchmarkAppend appends 3 million rows of eight columns to a database file and commits.
func BenchmarkAppend(b *testing.B) {
	d := source(b, 1, 1)
	for b.Loop() {
		tx, err := d.Begin(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		r := batches(b, 92)
		t0, c0 := time.Now(), cpu()
		n, err := tx.Append(b.Context(), driver.Name{Table: "source"}, r)
		if err != nil {
			b.Fatal(err)
		}
		if err := tx.Commit(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(n)/time.Since(t0).Seconds()/1e6, "Mrows/s")
		b.ReportMetric(float64(n)/(cpu()-c0).Seconds()/1e6, "Mrows/cpu-s")
		r.Release()
	}
}

// BenchmarkQuery streams 3 million rows of eight columns.
func BenchmarkQuery(b *testing.B) {
	d := source(b, 30, 100_000)
	read := int64(0)
	for b.Loop() {
		r, err := d.Query(b.Context(), `SELECT * FROM source`)
		if err != nil {
			b.Fatal(err)
		}
		n := int64(0)
		for r.Next() {
			n += r.RecordBatch().NumRows()
		}
		r.Release()
		read += n
	}
	b.ReportMetric(float64(read)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}
