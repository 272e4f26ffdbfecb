package doctor

import (
	"context"
	"errors"
	"os"

	"damson/internal/warehouse/driver"
)

// ErrBusy is the cause of an error that says that another process of Damson has the embedded warehouse.
var ErrBusy = errors.New("another process has the warehouse")

// Opened is a warehouse as it was found.
type Opened struct {
	Query        Query
	Capabilities driver.Capabilities
	Driver       driver.Warehouse // nil when it is asked through a server
	Place        string           // file, or database and server
	Absent       bool             // it is embedded and has not been made yet; there is nothing to ask
	Through      string           // the server that has the embedded warehouse open
	Close        func() error     // nil: there is nothing to close
}

// leave closes the warehouse, and does not wait for long for one that does not come to an end: the process ends soon. Nothing was
// written that could be lost.
func (o Opened) leave(ctx context.Context) {
	if o.Close != nil {
		_, _ = within(context.WithoutCancel(ctx), askPatience, func(context.Context) (any, error) { return nil, o.Close() })
	}
}

// embeddedSteps look at an embedded warehouse.
func (p *Patient) embeddedSteps(ctx context.Context) []Check {
	const area = "warehouse"
	limits := p.Project.Environment.Limits
	steps := []step{
		{area, "memory", 0, func(context.Context) ([]Check, error) {
			return judgeMemory(limits.Memory, memoryOf(os.ReadFile), p.Project.Environment.At), nil
		}},
		{area, "disk", 0, func(context.Context) ([]Check, error) {
			if p.File == "" {
				return ok("it is in memory"), nil
			}
			r, err := roomAt(p.File)
			if err != nil {
				return nil, err
			}
			return judgeRoom(r, p.File, "the warehouse"), nil
		}},
	}
	opening := step{area: area, name: "reach"}
	o, err := within(ctx, reachPatience, p.Warehouse)
	var dependent []step
	if len(p.Project.Migrations) > 0 {
		dependent = append(dependent, p.migrationStep(o))
	}
	var checks []Check
	switch {
	case errors.Is(err, ErrBusy):
		checks = append(opening.named([]Check{found(Warning, "another process has the warehouse", err)}), notChecked(dependent, "Another process has the warehouse.")...)
		dependent = nil
	case err != nil:
		checks = append(opening.named([]Check{found(Problem, "the warehouse cannot be opened", err)}), notChecked(dependent, "The warehouse could not be opened.")...)
		dependent = nil
	case o.Absent:
		checks = opening.named(ok("the first run makes %s", o.Place))
	case o.Through != "":
		checks = opening.named(ok("%s is open in the server at %s", o.Place, o.Through))
	default:
		checks = opening.named(ok("%s can be opened, DuckDB %s", o.Place, o.Capabilities.Version))
	}
	defer o.leave(ctx)
	return append(checks, take(ctx, width, append(steps, dependent...))...)
}
