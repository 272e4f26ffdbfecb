package main

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/duckdb/duckdb-go/v2"
	"github.com/jackc/pgx/v5"

	"damson/internal/model"
	"damson/internal/pgtest"
	"damson/internal/pipeline"
	"damson/internal/scoring"
	"damson/internal/sqltext"
	"damson/internal/tree"
	wdriver "damson/internal/warehouse/driver"
)

// duck is the embedded database with the training rows in table rows.
type duck struct {
	conn  driver.Conn
	arrow *duckdb.Arrow
}

func openDuck(d tree.Data) *duck {
	connector, err := duckdb.NewConnector("", nil)
	check(err)
	conn, err := connector.Connect(context.Background())
	check(err)
	a, err := duckdb.NewArrowFromConn(conn)
	check(err)
	db := &duck{conn, a}
	columns := make([]string, features)
	for f := range columns {
		columns[f] = fmt.Sprintf("x%d double", f)
	}
	_, err = conn.(driver.ExecerContext).ExecContext(context.Background(), "create table rows (id bigint, label integer, "+strings.Join(columns, ", ")+")", nil)
	check(err)
	appender, err := duckdb.NewAppenderFromConn(conn, "", "rows")
	check(err)
	row := make([]driver.Value, features+2)
	for i := range d.Class {
		row[0], row[1] = int64(i), int32(d.Class[i])
		for f := range d.Columns {
			row[f+2] = d.Columns[f][i]
		}
		check(appender.AppendRow(row...))
	}
	check(appender.Close())
	return db
}

func (d *duck) Query(ctx context.Context, sql sqltext.Text) (array.RecordReader, error) {
	return d.arrow.QueryContext(ctx, sql.SQL())
}

var task = pipeline.Score{Model: "bench"}

// stream scores the rows in Go.
func (d *duck) stream(ctx context.Context, v model.Version, rows sqltext.Text) float64 {
	reader, err := d.Query(ctx, rows)
	check(err)
	scored, err := scoring.Rows(ctx, v, reader, task, rows.Pos(0), 0)
	check(err)
	drain(scored)
	return 0
}

// score scores them in the database.
func (d *duck) score(ctx context.Context, v model.Version, rows sqltext.Text) float64 {
	columns := []wdriver.Column{{Name: "id", Type: wdriver.Bigint}}
	for _, name := range v.Features {
		columns = append(columns, wdriver.Column{Name: name, Type: wdriver.Double})
	}
	text, err := scoring.SQL(v, rows, columns, task, "duckdb")
	check(err)
	reader, err := d.Query(ctx, text)
	check(err)
	drain(reader)
	return 0
}

func drain(r array.RecordReader) {
	for r.Next() {
	}
	check(r.Err())
	r.Release()
}

// measure scores so many rows by a version, and all rows by the models.
func (d *duck) measure(ctx context.Context, results *table, v model.Version, rows int, bySQL bool, models map[string]*tree.Model) {
	some := sqltext.Plain("", fmt.Sprintf("select * exclude (label) from rows limit %d", rows))
	results.measure("Damson: score a tenth by streaming", func() float64 { return d.stream(ctx, v, some) })
	if !bySQL {
		return
	}
	results.measure("Damson: score a tenth as SQL", func() float64 { return d.score(ctx, v, some) })
	for name, m := range models {
		d.scoreAll(results, name, m)
	}
}

// scoreAll measures planning alone, and scoring all rows into a table.
func (d *duck) scoreAll(results *table, name string, m *tree.Model) {
	run := func(sql string) float64 {
		_, err := d.conn.(driver.ExecerContext).ExecContext(context.Background(), sql, nil)
		check(err)
		return 0
	}
	text := scoringSQL(m, "")
	results.measure(fmt.Sprintf("DuckDB: plan the SQL of %s, %d nodes", name, m.SQLNodes()), func() float64 { return run("explain " + text) })
	results.measure("DuckDB: score all rows by "+name, func() float64 { return run("create or replace table scored as " + text) })
}

// scoringSQL scores table rows. The fence keeps PostgreSQL from computing a feature again wherever it is used.
func scoringSQL(m *tree.Model, fence string) string {
	names, ready := make([]string, features), make([]string, features)
	for f := range names {
		names[f] = fmt.Sprintf("x%d", f)
		ready[f] = tree.SQLValue(names[f]) + " as " + names[f]
	}
	return fmt.Sprintf("select id, %s as probability from (select id, %s from rows%s) as features", m.SQL(names, "s").Outputs[0], strings.Join(ready, ", "), fence)
}

// scorePostgres does the same in a PostgreSQL server of its own, with the compiler of expressions off and, for the forest, on.
func scorePostgres(ctx context.Context, results *table, rows int, models map[string]*tree.Model) {
	server, err := pgtest.Launch()
	check(err)
	defer server.Remove()
	conn, err := pgx.Connect(ctx, server.URL())
	check(err)
	defer conn.Close(ctx)
	run := func(sql string) float64 {
		_, err := conn.Exec(ctx, sql)
		check(err)
		return 0
	}
	var columns []string
	for f := range features {
		columns = append(columns, fmt.Sprintf("sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) as x%d", f))
	}
	run(fmt.Sprintf("create unlogged table rows as select i as id, %s from generate_series(1, %d) as r(i)", strings.Join(columns, ", "), rows))
	run("analyze rows")
	for name, m := range models {
		for _, jit := range []string{"off", "on"} {
			run("set jit = " + jit)
			text := scoringSQL(m, " offset 0")
			results.measure("PostgreSQL: plan the SQL of "+name+", jit "+jit, func() float64 { return run("explain " + text) })
			results.measure("PostgreSQL: score all rows by "+name+", jit "+jit, func() float64 { return run("create unlogged table scored as " + text) })
			run("drop table scored")
		}
	}
}
