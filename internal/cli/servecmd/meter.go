package servecmd

import (
	"context"

	"damson/internal/run"
	"damson/internal/serve"
	"damson/internal/store"
)

// meter measures what the store knows of a server.
type meter struct{ *server }

// Measure counts open runs by state, and processes.
func (m meter) Measure(ctx context.Context) ([]serve.Metric, error) {
	open, err := m.store.Runs(ctx, store.RunFilter{States: []run.State{run.Queued, run.Running}})
	if err != nil {
		return nil, err
	}
	states := map[run.State]float64{run.Queued: 0, run.Running: 0}
	for _, r := range open {
		states[r.State]++
	}
	processes, err := m.store.Processes(ctx)
	if err != nil {
		return nil, err
	}
	lease, err := m.store.Lease(ctx)
	if err != nil {
		return nil, err
	}
	leads := 0.0
	if lease.Holder == m.id {
		leads = 1
	}
	return []serve.Metric{
		{Name: "damson_open_runs", Help: "Runs that have not ended, by state.", Labels: []string{"state"}, Values: []serve.Value{
			{Labels: []string{string(run.Queued)}, Value: states[run.Queued]}, {Labels: []string{string(run.Running)}, Value: states[run.Running]}}},
		{Name: "damson_processes", Help: "Processes that are registered.", Values: []serve.Value{{Value: float64(len(processes))}}},
		{Name: "damson_leader", Help: "1 in the process that leads.", Values: []serve.Value{{Value: leads}}},
	}, nil
}
