package doctor

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"damson/internal/clock"
	"damson/internal/diag"
	"damson/internal/migrate"
	"damson/internal/migrate/history"
	"damson/internal/project"
	"damson/internal/warehouse/driver"
)

// Patient is a project, with the ways to what it works with. All functions may be called at the same time.
type Patient struct {
	Project  *project.Project
	Findings diag.Findings // of loading it
	Clock    clock.Clock
	StateDir string
	File     string // of the embedded warehouse; "" = in memory, or no embedded one
	Crew     Crew   // connections that a server of Damson takes
	// Python gives the interpreter of python tasks, or what was looked for.
	Python func() (path string, there bool)
	// Store looks at the store and makes none; Leader finds who leads the project, nil = nobody.
	Store  func(ctx context.Context) (Store, error)
	Leader func(ctx context.Context) (*Leader, error)
	// Warehouse opens the environment's warehouse and makes none.
	Warehouse func(ctx context.Context) (Opened, error)

	needs Needs
}

// Examine looks at everything. The checks come by area: project, store, warehouse.
func Examine(ctx context.Context, p Patient) []Check {
	p.needs = NewNeeds(p.Project, p.Clock.Now())
	areas := []func(ctx context.Context) []Check{p.projectSteps, p.storeSteps, p.warehouseSteps}
	results := make([][]Check, len(areas))
	var all sync.WaitGroup
	for i, area := range areas {
		all.Go(func() { results[i] = area(ctx) })
	}
	all.Wait()
	var checks []Check
	for _, r := range results {
		checks = append(checks, r...)
	}
	return checks
}

// projectSteps look at the project and the machine.
func (p *Patient) projectSteps(ctx context.Context) []Check {
	const area = "project"
	steps := []step{
		{area, "project", 0, func(context.Context) ([]Check, error) { return judgeProject(p.Project, p.Findings), nil }},
		{area, "state", 0, func(context.Context) ([]Check, error) { return checkState(p.StateDir), nil }},
		{area, "disk", 0, func(context.Context) ([]Check, error) {
			r, err := roomAt(p.StateDir)
			if err != nil {
				return nil, err
			}
			return judgeRoom(r, p.StateDir, filepath.Base(p.StateDir)), nil
		}},
		{area, "time zones", 0, func(context.Context) ([]Check, error) { return checkZones(), nil }},
	}
	if len(p.needs.Python) > 0 {
		steps = append(steps, step{area, "python", 0, func(ctx context.Context) ([]Check, error) {
			path, there := p.Python()
			return checkPython(ctx, p.needs.Python, path, there), nil
		}})
	}
	return take(ctx, width, steps)
}

// judgeProject sums the findings up; `damson validate` lists them.
func judgeProject(p *project.Project, findings diag.Findings) []Check {
	wrong, doubtful := 0, 0
	var first diag.Finding
	for _, f := range findings {
		if !f.IsError() {
			doubtful++
			continue
		}
		if wrong++; wrong == 1 {
			first = f
		}
	}
	tasks := 0
	for _, pl := range p.Pipelines {
		tasks += len(pl.Tasks)
	}
	what := fmt.Sprintf("%s, %s, environment %s", plural(len(p.Pipelines), "pipeline"), plural(tasks, "task"), p.Environment.Name)
	switch {
	case wrong > 0:
		return []Check{{Status: Problem, At: first.At, What: plural(wrong, "error") + " in the project's files", Why: first.Summary + ": " + first.Detail,
			Fix: "See all of them: damson validate"}}
	case doubtful > 0:
		return []Check{{Status: Warning, What: what, Why: fmt.Sprintf("Validation warns of %s.", plural(doubtful, "thing")), Fix: "See them: damson validate"}}
	}
	return ok("%s", what)
}

// warehouseSteps look at the environment's warehouse.
func (p *Patient) warehouseSteps(ctx context.Context) []Check {
	for _, f := range p.Findings {
		if f.IsError() && f.At.File == project.ConfigFile {
			return notChecked([]step{{area: "warehouse", name: "reach"}}, "damson.yaml has errors, so it is not known which warehouse is meant.")
		}
	}
	if p.Project.Environment.Embedded() {
		return p.embeddedSteps(ctx)
	}
	return p.serverSteps(ctx)
}

// serverSteps look at a warehouse in a server.
func (p *Patient) serverSteps(ctx context.Context) []Check {
	const area = "warehouse"
	opening := step{area: area, name: "reach"}
	o, err := within(ctx, reachPatience, p.Warehouse)
	defer o.leave(ctx)
	var s server
	if err == nil {
		s, err = within(ctx, askPatience, func(ctx context.Context) (server, error) { return askServer(ctx, o.Query) })
	}
	steps := p.serverQuestions(o, s)
	if err != nil {
		c := found(Problem, "the warehouse cannot be opened", err)
		if c.At.File == "" {
			c.At = p.Project.Environment.At
		}
		return append(opening.named([]Check{c}), notChecked(steps, "The warehouse could not be opened.")...)
	}
	checks := opening.named(ok("%s", o.Place))
	return append(checks, take(ctx, width, steps)...)
}

// serverQuestions are the steps that need an open warehouse in a server.
func (p *Patient) serverQuestions(o Opened, s server) []step {
	n := p.needs
	kind := p.Project.Environment.Kind()
	var steps []step
	add := func(name string, do func(ctx context.Context) ([]Check, error)) {
		steps = append(steps, step{"warehouse", name, 0, do})
	}
	know := func(name string, judge func() []Check) {
		add(name, func(context.Context) ([]Check, error) { return judge(), nil })
	}
	know("version", func() []Check { return judgeVersion(o.Capabilities) })
	know("encoding", func() []Check { return judgeEncoding(s) })
	add("clock", func(ctx context.Context) ([]Check, error) {
		d, err := askClock(ctx, o.Query, p.Clock)
		return judgeClock(d), err
	})
	know("connections", func() []Check { return judgeConnections(s, p.Crew, p.Project.Environment.At) })
	know("locks", func() []Check { return judgeLocks(s) })
	add("rights", func(ctx context.Context) ([]Check, error) {
		r, err := askRights(ctx, o.Query, n)
		return judgeRights(s, n, r), err
	})
	add("extensions", func(ctx context.Context) ([]Check, error) {
		b, err := askBrought(ctx, o.Query, s, kind, n.Uses)
		return judgeExtensions(s, n.Uses, b), err
	})
	add("languages", func(ctx context.Context) ([]Check, error) {
		b, err := askBrought(ctx, o.Query, s, kind, n.Uses)
		return judgeLanguages(s, n.Uses, b), err
	})
	add("partitions", func(ctx context.Context) ([]Check, error) { return lookAtParts(ctx, o.Driver, n.Native) })
	add("statistics", func(ctx context.Context) ([]Check, error) {
		t, err := askStatistics(ctx, o.Query, n.writtenTables())
		return judgeStatistics(s, kind, t), err
	})
	waits := waitSQL
	if kind == "greenplum" {
		waits = greenplumWaitSQL
		add("segments", func(ctx context.Context) ([]Check, error) {
			all, err := askSegments(ctx, o.Query)
			return judgeSegments(all), err
		})
		add("storage", func(ctx context.Context) ([]Check, error) {
			t, err := askStorage(ctx, o.Query, s, n.writtenTables())
			return judgeStorage(n, t), err
		})
	}
	add("activity", func(ctx context.Context) ([]Check, error) {
		a, err := askActivity(ctx, o.Query, waits)
		return judgeActivity(a), err
	})
	if len(p.Project.Migrations) > 0 {
		steps = append(steps, p.migrationStep(o))
	}
	return steps
}

// lookAtParts looks at the tables that tasks want cut by the database.
func lookAtParts(ctx context.Context, d driver.Warehouse, tables []NativeTable) ([]Check, error) {
	physical, can := d.(driver.Physical)
	if !can {
		return ok("this warehouse has none of its own"), nil
	}
	parts, err := askParts(ctx, physical, d, tables)
	return judgeParts(parts), err
}

// migrationStep compares the project's migrations with the warehouse's history.
func (p *Patient) migrationStep(o Opened) step {
	return step{"warehouse", "migrations", 0, func(ctx context.Context) ([]Check, error) {
		var rows []migrate.Row
		if !o.Absent {
			var err error
			if rows, err = history.Read(ctx, history.Query(o.Query)); err != nil {
				return nil, err
			}
		}
		return judgeMigrations(migrate.Plan(p.Project.Migrations, rows, p.Project.Environment.Kind())), nil
	}}
}

func judgeMigrations(entries []migrate.Entry) []Check {
	var checks []Check
	var pending []string
	findings := migrate.Check(entries) // of those that are not in order, in the order of the entries
	for _, e := range entries {
		if e.State.InOrder() {
			continue
		}
		f := findings[0]
		findings = findings[1:]
		if e.State == migrate.Pending {
			pending = append(pending, e.String())
			continue
		}
		checks = append(checks, Check{Status: Problem, At: f.At, What: f.Summary, Why: f.Detail, Fix: f.Fix})
	}
	if len(pending) > 0 {
		checks = append(checks, Check{Status: Warning, What: plural(len(pending), "migration") + " pending", Why: "Not applied yet: " + list(pending) + ".",
			Fix: "Apply them: damson migrate up"})
	}
	if len(checks) > 0 {
		return checks
	}
	return ok("%s, all in order", plural(len(entries), "migration"))
}
