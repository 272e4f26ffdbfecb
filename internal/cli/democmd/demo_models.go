package democmd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"damson/internal/cli/console"
	"damson/internal/cli/modelcmd"
	"damson/internal/metric"
	"damson/internal/pipeline"
	"damson/internal/registry"
	"damson/internal/sqltext"
)

// demoModel is what the demo tells of a model: its newest version, which the demo has just trained, and what was scored.
type demoModel struct {
	Model   string         `json:"model"`
	Version int            `json:"version"`
	State   string         `json:"state"`
	Why     string         `json:"why"`
	Judged  *metric.Report `json:"judged,omitempty"`
	Scored  []scoredDay    `json:"scored"`
}

// scoredDay counts a day's predictions by class.
type scoredDay struct {
	Day     string           `json:"day"`
	Classes map[string]int64 `json:"classes"`
}

// model gathers what is told of the model of a score task.
func (d *demo) model(ctx context.Context, score *pipeline.Score) (demoModel, error) {
	m := demoModel{Model: score.Model, Scored: []scoredDay{}}
	versions, err := registry.New(d.w.Store, d.app.Clock).List(ctx, score.Model)
	if err != nil || len(versions) == 0 {
		return m, err
	}
	v := versions[0]
	judged, err := modelcmd.ReadReport(v)
	if err != nil {
		return m, err
	}
	m.Version, m.State, m.Why, m.Judged = v.Number, string(v.State), v.DecidedWhy, &judged
	return m, d.addScored(ctx, &m, score.Target)
}

func (d *demo) addScored(ctx context.Context, m *demoModel, target pipeline.Target) error {
	if columns, err := d.w.Warehouse.Table(ctx, target.Into); err != nil || columns == nil {
		return err
	}
	sql := fmt.Sprintf("select %[1]s, prediction, count(*) from %[2]s group by %[1]s, prediction order by %[1]s, prediction", sqltext.QuoteIdent(target.PartitionBy), target.Into)
	return d.each(ctx, sql, func(v []any) {
		moment, _ := v[0].(time.Time)
		day := moment.Format(time.DateOnly)
		if n := len(m.Scored); n == 0 || m.Scored[n-1].Day != day {
			m.Scored = append(m.Scored, scoredDay{day, map[string]int64{}})
		}
		m.Scored[len(m.Scored)-1].Classes[m.predicted(fmt.Sprint(v[1]))], _ = v[2].(int64)
	})
}

// predicted is the name of a predicted class. Model walk says 1 to a walk, and 0 to what is not walk.
func (m demoModel) predicted(class string) string {
	switch {
	case modelcmd.KindOf(*m.Judged) != metric.Binary || len(m.Judged.ClassNames) > 0:
		return class
	case class == "1":
		return m.Model
	}
	return "not " + m.Model
}

// classes are the names of all classes, in the order that they are shown in.
func (m demoModel) classes() []string {
	if m.Judged.Classes == nil {
		names := modelcmd.ClassNames(*m.Judged)
		return []string{m.predicted(names[1]), m.predicted(names[0])}
	}
	var names []string
	for _, c := range m.Judged.Classes.Classes {
		names = append(names, c.Class)
	}
	return names
}

func (a *app) printDemoModel(m demoModel) {
	if m.Judged == nil {
		return
	}
	a.Printf("\n%s version %d is %s: %s\n", a.Style(console.StyleHead, "model "+m.Model), m.Version, a.State(m.State), m.Why)
	modelcmd.PrintJudgement(a.App, *m.Judged)
	a.printScored(m)
}

// printScored shows predictions by day: all of a short range, the first and last days of a long one.
func (a *app) printScored(m demoModel) {
	if len(m.Scored) == 0 {
		a.Printf("\nNothing was scored.\n")
		return
	}
	classes, head, all := m.classes(), []string{"day"}, int64(0)
	var totals []string
	for _, class := range classes {
		total := int64(0)
		for _, d := range m.Scored {
			total += d.Classes[class]
		}
		all += total
		totals = append(totals, console.Count(total)+" "+class)
		head = append(head, ">"+class)
	}
	a.Printf("\n%s\n", a.Style(console.StyleHead, fmt.Sprintf("Predictions for %s: %s", console.Plural(int(all), "unlabelled window"), strings.Join(totals, ", "))))
	const most = 8
	g := console.NewGrid(head...)
	for i, d := range m.Scored {
		if len(m.Scored) > most && i == most/2 {
			g.Add(append([]string{"…"}, make([]string, len(classes))...)...)
		}
		if len(m.Scored) <= most || i < most/2 || i >= len(m.Scored)-most/2 {
			line := []string{d.Day}
			for _, class := range classes {
				line = append(line, console.Count(d.Classes[class]))
			}
			g.Add(line...)
		}
	}
	g.Print(a.App)
}
