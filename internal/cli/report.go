package cli

import (
	"context"
	"fmt"
	"time"

	"damson/internal/metric"
	"damson/internal/pipeline"
	"damson/internal/registry"
	"damson/internal/sqltext"
	"damson/internal/warehouse/rows"
)

// demoReport is what the demo tells at its end.
type demoReport struct {
	Stages   []stage        `json:"stages"`
	Rejects  []rejectCount  `json:"rejects"`
	Model    string         `json:"model"`
	Version  int            `json:"version"`
	State    string         `json:"state"`
	Why      string         `json:"why"`
	Judged   *metric.Report `json:"judged,omitempty"`
	Scored   []scoredDay    `json:"scored"`
	Seconds  float64        `json:"seconds"`
	Project  string         `json:"project"`
	LastDate string         `json:"last_date"`
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

// scoredDay counts a day's predictions.
type scoredDay struct {
	Day  string `json:"day"`
	Walk int64  `json:"walk"`
	Not  int64  `json:"not_walk"`
}

// report gathers what is told at the end, every number by a query or from the registry.
func (d *demo) report(ctx context.Context) (*demoReport, error) {
	r := &demoReport{Project: inside(d.w.project.Dir), LastDate: d.last.Format(time.DateOnly)}
	took := map[string]time.Duration{}
	for _, s := range d.steps {
		for task, t := range s.took {
			took[s.pipeline.Name+"."+task] += t
		}
	}
	var score *pipeline.Task
	for _, name := range []string{demoLoad, demoDaily, demoTrain} {
		p, err := d.w.project.Pipeline(name)
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
				score = t
			}
		}
	}
	if err := d.addRejects(ctx, r); err != nil {
		return nil, err
	}
	if score == nil {
		return r, nil
	}
	if err := d.addModel(ctx, r, score.Score.Model); err != nil {
		return nil, err
	}
	return r, d.addScored(ctx, r, score.Score.Target)
}

// countRows counts a table's rows; a table that does not exist has none.
func (d *demo) countRows(ctx context.Context, table string) (n int64, err error) {
	columns, err := d.w.warehouse.Table(ctx, table)
	if err != nil || columns == nil {
		return 0, err
	}
	err = d.each(ctx, "select count(*) from "+table, func(v []any) { n = v[0].(int64) })
	return n, err
}

// each calls f with the values of each row.
func (d *demo) each(ctx context.Context, sql string, f func(v []any)) error {
	reader, err := d.w.warehouse.Query(ctx, sqltext.Plain("report", sql))
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

// addModel tells of the newest version, which the demo has just trained.
func (d *demo) addModel(ctx context.Context, r *demoReport, name string) error {
	versions, err := registry.New(d.w.store, d.app.clock).List(ctx, name)
	if err != nil || len(versions) == 0 {
		return err
	}
	v := versions[0]
	judged, err := readReport(v)
	r.Model, r.Version, r.State, r.Why, r.Judged = v.Model, v.Number, string(v.State), v.DecidedWhy, &judged
	return err
}

func (d *demo) addScored(ctx context.Context, r *demoReport, target pipeline.Target) error {
	if columns, err := d.w.warehouse.Table(ctx, target.Into); err != nil || columns == nil {
		return err
	}
	sql := fmt.Sprintf("select %[1]s, sum(case when prediction = 1 then 1 else 0 end), sum(case when prediction = 1 then 0 else 1 end) from %[2]s group by %[1]s order by %[1]s",
		sqltext.QuoteIdent(target.PartitionBy), target.Into)
	return d.each(ctx, sql, func(v []any) {
		day, _ := v[0].(time.Time)
		walk, _ := v[1].(int64)
		not, _ := v[2].(int64)
		r.Scored = append(r.Scored, scoredDay{day.Format(time.DateOnly), walk, not})
	})
}

// printDemo writes the report for people.
func (a *app) printDemo(r *demoReport) {
	a.printf("\n%s\n\n", a.style(styleHead, "From GPS files to predictions, in "+seconds(time.Duration(r.Seconds*float64(time.Second)))))
	g := newGrid("task", "table", ">rows", ">seconds")
	for _, s := range r.Stages {
		n := ""
		if s.Table != "" {
			n = count(s.Rows)
		}
		g.add(s.Task, s.Table, n, fmt.Sprintf("%.2f", s.Seconds))
	}
	g.print(a)
	a.printRejects(r.Rejects)
	if r.Judged != nil {
		a.printf("\n%s version %d is %s: %s\n", a.style(styleHead, "model "+r.Model), r.Version, a.state(r.State), r.Why)
		a.printJudgement(*r.Judged)
	}
	a.printScored(r.Scored)
	a.printf("\n%s\n", a.style(styleHead, "Try next"))
	for _, c := range [][2]string{
		{"damson query \"select * from " + lastTable(r) + " limit 5\"", "look at predictions"},
		{"damson render geolife.model_features --date " + r.LastDate, "see a task's SQL as it runs"},
		{"damson model show " + r.Model, "see how the model was judged"},
	} {
		a.printf("  %s\n      %s\n", c[0], a.style(styleQuiet, c[1]))
	}
	a.printf("in %s, whose README.md says what each file is.\n", r.Project)
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
		a.printf("\nEvery line of every file parsed.\n")
		return
	}
	a.printf("\n%s\n", a.style(styleHead, "Lines that did not parse (damson.rejects)"))
	for _, c := range rejects {
		a.printf("  %s × %s\n      for example %s:%d\n", count(c.Lines), c.Reason, c.File, c.Line)
	}
}

// printScored shows predictions by day: all of a short range, the first and last days of a long one.
func (a *app) printScored(days []scoredDay) {
	if len(days) == 0 {
		a.printf("\nNothing was scored.\n")
		return
	}
	var total scoredDay
	for _, d := range days {
		total.Walk += d.Walk
		total.Not += d.Not
	}
	a.printf("\n%s\n", a.style(styleHead, fmt.Sprintf("Predictions for %s: %s walk, %s not",
		plural(int(total.Walk+total.Not), "unlabelled window"), count(total.Walk), count(total.Not))))
	const most = 8
	g := newGrid("day", ">walk", ">not walk")
	for i, d := range days {
		if len(days) > most && i == most/2 {
			g.add("…", "", "")
		}
		if len(days) <= most || i < most/2 || i >= len(days)-most/2 {
			g.add(d.Day, count(d.Walk), count(d.Not))
		}
	}
	g.print(a)
}
