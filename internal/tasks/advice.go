package tasks

import (
	"context"
	"errors"
	"fmt"

	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/project"
	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

// advised adds to an executor's errors what only the project knows: which task writes a table that is not there. SQL that
// the database cannot read is not tried again.
type advised struct {
	engine.Executor
	project *project.Project
}

// Execute executes and advises.
func (e advised) Execute(ctx context.Context, w engine.Work) (engine.Outcome, error) {
	outcome, err := e.Executor.Execute(ctx, w)
	said := (*driver.Error)(nil)
	var f diag.Finding
	switch {
	case err == nil || !errors.As(err, &f) || !errors.As(err, &said):
		return outcome, err
	case said.Class == driver.Syntax:
		return outcome, engine.GiveUp(err)
	case said.Table == "":
		return outcome, err
	}
	p, t := writerOf(e.project, said.Table)
	if t == nil || t == w.Task {
		return outcome, err
	}
	if p == w.Pipeline {
		f.Fix = fmt.Sprintf("Task %s of this pipeline writes it: run it before, with %s >> %s where that order is missing.", t.Name, t.Name, w.Task.Name)
		return outcome, f
	}
	command := "damson run " + p.Name
	if p.Schedule != "" {
		command = "damson backfill " + p.Name
	}
	f.Fix = fmt.Sprintf("`%s` fills it (task %s.%s).", command, p.Name, t.Name)
	return outcome, f
}

// writerOf finds a task of the project that writes the table.
func writerOf(p *project.Project, table string) (*pipeline.Pipeline, *pipeline.Task) {
	for _, pl := range p.Pipelines {
		for _, t := range pl.Tasks {
			if into := t.Into(); into != "" && sameTable(into, table) {
				return pl, t
			}
		}
	}
	return nil, nil
}

func sameTable(a, b string) bool {
	schemaA, tableA, errA := sqltext.ParseName(a)
	schemaB, tableB, errB := sqltext.ParseName(b)
	return errA == nil && errB == nil && schemaA == schemaB && tableA == tableB
}
