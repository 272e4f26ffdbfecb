package democmd

import (
	"context"
	"fmt"
	"time"

	"damson/internal/cli/console"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/warehouse/rows"
)

// demoReport is what the demo tells at its end.
type demoReport struct {
	Stages   []stage       `json:"stages"`
	Rejects  []rejectCount `json:"rejects"`
	Models   []demoModel   `json:"models"` // that score
	Seconds  float64       `json:"seconds"`
	Project  string        `json:"project"`
	LastDate string        `json:"last_date"`
}

// stage is one task: the table it fills and what that cost.
type stage struct {
	Pipeline string  `json:"pipeline"`
	Task     string  `json:"task"`
	Table    string  `json:"table,omitempty"`
	Rows     int64   `json:"rows"`
	Seconds  float64 `json:"seconds"`
}

// rejectCount counts lines that did not parse, with one of them.
type rejectCount struct {
	Reason string `json:"reason"`
	Lines  int64  `json:"lines"`
	File   string `json:"file"`
	Line   int64  `json:"line"`
}

// report gathers what is told at the end, every number by a query or from the registry.
func (d *demo) report(ctx context.Context) (*demoReport, error) {
	r := &demoReport{Project: console.Inside(d.w.Project.Dir), LastDate: d.last.Format(time.DateOnly)}
	took := map[string]time.Duration{}
	for _, s := range d.steps {
		for task, t := range s.took {
			took[s.pipeline.Name+"."+task] += t
		}
	}
	var scores []*pipeline.Score
	for _, name := range []string{demoLoad, demoDaily, demoTrain} {
		p, err := d.w.Project.Pipeline(name)
		if err != nil {
			return nil, err
		}
		for _, t := range p.Tasks {
			s := stage{Pipeline: name, Task: t.Name, Table: t.Into(), Seconds: took[name+"."+t.Name].Seconds()}
			if s.Table != "" {
				if s.Rows, err = d.countRows(ctx, s.Table); err != nil {
					return nil, err
				}
			}
			r.Stages = append(r.Stages, s)
			if t.Kind == pipeline.ScoreTask {
				scores = append(scores, t.Score)
			}
		}
	}
	if err := d.addRejects(ctx, r); err != nil {
		return nil, err
	}
	for _, s := range scores {
		m, err := d.model(ctx, s)
		if err != nil {
			return nil, err
		}
		r.Models = append(r.Models, m)
	}
	return r, nil
}

// countRows counts a table's rows; a table that does not exist has none.
func (d *demo) countRows(ctx context.Context, table string) (n int64, err error) {
	columns, err := d.w.Warehouse.Table(ctx, table)
	if err != nil || columns == nil {
		return 0, err
	}
	err = d.each(ctx, "select count(*) from "+table, func(v []any) { n = v[0].(int64) })
	return n, err
}

// each calls f with the values of each row.
func (d *demo) each(ctx context.Context, sql string, f func(v []any)) error {
	reader, err := d.w.Warehouse.Query(ctx, sqltext.Plain("report", sql))
	if err != nil {
		return err
	}
	defer reader.Release()
	for reader.Next() {
		batch := reader.RecordBatch()
		for i := range int(batch.NumRows()) {
			values := make([]any, batch.NumCols())
			for c := range values {
				values[c] = rows.Value(batch.Column(c), i)
			}
			f(values)
		}
	}
	return reader.Err()
}

func (d *demo) addRejects(ctx context.Context, r *demoReport) error {
	sql := `select reason, count(*), min(file), min(line) from damson.rejects group by reason order by 2 desc, 1 limit 5`
	return d.each(ctx, sql, func(v []any) {
		c := rejectCount{Reason: fmt.Sprint(v[0]), Lines: v[1].(int64), File: fmt.Sprint(v[2])}
		c.Line, _ = v[3].(int64)
		r.Rejects = append(r.Rejects, c)
	})
}

// printDemo writes the report for people.
func (a *app) printDemo(r *demoReport) {
	a.Printf("\n%s\n\n", a.Style(console.StyleHead, "From GPS files to predictions, in "+console.Seconds(time.Duration(r.Seconds*float64(time.Second)))))
	g := console.NewGrid("task", "table", ">rows", ">seconds")
	for _, s := range r.Stages {
		n := ""
		if s.Table != "" {
			n = console.Count(s.Rows)
		}
		g.Add(s.Task, s.Table, n, fmt.Sprintf("%.2f", s.Seconds))
	}
	g.Print(a.App)
	a.printRejects(r.Rejects)
	next := [][2]string{
		{"damson query \"select * from " + lastTable(r) + " limit 5\"", "look at predictions"},
		{"damson render geolife.model_features --date " + r.LastDate, "see a task's SQL as it runs"},
	}
	for _, m := range r.Models {
		a.printDemoModel(m)
		next = append(next, [2]string{"damson model show " + m.Model, "see how model " + m.Model + " was judged"})
	}
	a.Printf("\n%s\n", a.Style(console.StyleHead, "Try next"))
	for _, c := range next {
		a.Printf("  %s\n      %s\n", c[0], a.Style(console.StyleQuiet, c[1]))
	}
	a.Printf("in %s, whose README.md says what each file is.\n", r.Project)
}

func lastTable(r *demoReport) string {
	table := ""
	for _, s := range r.Stages {
		if s.Table != "" {
			table = s.Table
		}
	}
	return table
}

func (a *app) printRejects(rejects []rejectCount) {
	if len(rejects) == 0 {
		a.Printf("\nEvery line of every file parsed.\n")
		return
	}
	a.Printf("\n%s\n", a.Style(console.StyleHead, "Lines that did not parse (damson.rejects)"))
	for _, c := range rejects {
		a.Printf("  %s × %s\n      for example %s:%d\n", console.Count(c.Lines), c.Reason, c.File, c.Line)
	}
}
