package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/project"
	"damson/internal/sqltext"
	"damson/internal/template/airflow"
	"damson/internal/warehouse/duckdb"
)

// floorOptions are what scale tells the process that it measures itself against.
type floorOptions struct {
	Project string `json:"project"`
	File    string `json:"file"` // of the database to make
}

// floor does the work of load and backfill as one statement a task over all days at once, through a bare connection, with
// DuckDB's own reader for the files. It prints the seconds of each statement as JSON.
func floor(ctx context.Context, text string) error {
	var o floorOptions
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	p, findings := project.Load(o.Project, project.Options{})
	if err := findings.Err(); err != nil {
		return err
	}
	statements, err := floorStatements(p)
	if err != nil {
		return err
	}
	options := duckdb.Options{Path: o.File, Threads: p.Environment.Limits.Threads}
	if m := p.Environment.Limits.Memory; m > 0 {
		options.MemoryLimit = fmt.Sprintf("%dB", m)
	}
	db, err := duckdb.Open(ctx, options)
	if err != nil {
		return err
	}
	if _, err := db.Exec(ctx, "CREATE SCHEMA geolife"); err != nil {
		return err
	}
	took := map[string]float64{}
	for _, s := range statements {
		watch := stopwatch()
		if _, err := db.Exec(ctx, s.sql); err != nil {
			return fmt.Errorf("%s at once: %w", s.task, err)
		}
		took[s.task] = watch().wall
	}
	if err := db.Close(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(took)
}

// statement is the work of a task.
type statement struct{ task, sql string }

// floorStatements gives a statement for each task that loads or selects, in their order.
func floorStatements(p *project.Project) ([]statement, error) {
	root := fmt.Sprint(p.Vars["data_dir"])
	file := func(glob string) string { return sqltext.QuoteLiteral(root + "/" + glob) }
	relative := fmt.Sprintf("substr(filename, %d) AS file, regexp_extract(filename, 'Data/([^/]+)/', 1) AS uid, 0::bigint AS line", len(root)+2)
	statements := []statement{
		{"load_trajectory", `CREATE TABLE geolife.trajectory_landing AS SELECT latitude, longitude, nullif(altitude, -777) AS altitude_ft,
			days, tdate, ttime, ` + relative + ` FROM read_csv(` + file("Data/*/Trajectory/*.plt") + `, skip = 6, header = false, filename = true,
			ignore_errors = true, auto_detect = false, delim = ',', quote = '', escape = '', new_line = '\r\n', columns = {'latitude': 'double', 'longitude': 'double', 'zero': 'bigint',
			'altitude': 'double', 'days': 'double', 'tdate': 'date', 'ttime': 'time'})`},
		{"load_label", `CREATE TABLE geolife.label_landing AS SELECT start_time, end_time, mode, ` + relative + ` FROM read_csv(` +
			file("Data/*/labels.txt") + `, skip = 1, header = false, filename = true, ignore_errors = true, auto_detect = false, delim = '\t',
			timestampformat = '%Y/%m/%d %H:%M:%S', columns = {'start_time': 'timestamp', 'end_time': 'timestamp', 'mode': 'text'})`},
	}
	daily, err := p.Pipeline("geolife")
	if err != nil {
		return nil, err
	}
	for _, t := range daily.Tasks {
		if t.Kind != pipeline.SQLTask {
			continue
		}
		all := airflow.Context{Pipeline: daily.Name, Start: daily.Start, End: daily.Start.AddDate(100, 0, 0)}
		sql, err := p.Render(t, all)
		if err != nil {
			return nil, diag.AsFinding("Rendering "+t.Name, err)
		}
		statements = append(statements, statement{t.Name, "CREATE TABLE " + t.Into() + " AS\n" + strings.TrimRight(sql.SQL(), "; \n")})
	}
	return statements, nil
}
