package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/run"
)

// itemized makes task each of a pipeline a mapped one; the bench's executor tells these items and notes which it executes.
func itemized(b *bench, p *pipeline.Pipeline, items *[]any, seen *[]string, fails func(w engine.Work) bool) {
	p.Task("each").Map = &pipeline.Map{}
	var mu sync.Mutex
	b.do = func(_ context.Context, w engine.Work) (engine.Outcome, error) {
		if w.Mapped {
			return engine.Outcome{Items: *items}, nil
		}
		if w.Item != nil {
			mu.Lock()
			*seen = append(*seen, fmt.Sprint(w.Item.Value))
			mu.Unlock()
			if fails(w) {
				return engine.Outcome{}, errors.New("broken item")
			}
		}
		return engine.Outcome{}, nil
	}
}

// TestMappedTask: one task run for each item, the next task after all of them, once more after a rerun with fewer items.
func TestMappedTask(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("fetch", "each", "after")
		items, seen := []any{"a", "b", "c"}, []string{}
		itemized(b, p, &items, &seen, func(engine.Work) bool { return false })
		plan := engine.Plan{Pipeline: p, Intervals: days(12, 12)}
		b.must(plan)
		slices.Sort(seen)
		b.want("items", strings.Join(seen, " "), "a b c")
		b.want("after", b.history(id(12), "after"), "queued started succeeded")
		items, seen = []any{"a", "d"}, nil
		plan.Rerun = engine.RerunAll
		b.must(plan)
		slices.Sort(seen)
		b.want("items of the rerun", strings.Join(seen, " "), "a d")
		b.want("the item that is no more", string(b.task(id(12), "each[2]").State), string(run.Removed))
		items, seen = []any{}, nil
		b.must(plan)
		b.want("without items", string(b.task(id(12), "each").State), string(run.Skipped))
	})
}

// TestMappedTaskFails when an item has no attempt left, after the others have ended.
func TestMappedTaskFails(t *testing.T) {
	try(t, func(b *bench) {
		p := chain("each", "after")
		p.Task("each").Retries = 1
		items, seen := []any{"good", "bad", "flaky"}, []string{}
		itemized(b, p, &items, &seen, func(w engine.Work) bool {
			return w.Item.Value == "bad" || w.Item.Value == "flaky" && w.Claims[0].Attempt == 1
		})
		b.must(engine.Plan{Pipeline: p, Intervals: days(12, 12)})
		slices.Sort(seen)
		b.want("executions", strings.Join(seen, " "), "bad bad flaky flaky good")
		b.want("the task", b.task(id(12), "each").Reason, "1 of its items failed: each[1]")
		b.want("what comes after", string(b.task(id(12), "after").State), string(run.UpstreamFailed))
		plan := engine.Plan{Pipeline: p, Intervals: days(12, 12), Rerun: engine.RerunFailed}
		itemized(b, p, &items, &seen, func(engine.Work) bool { return false })
		b.must(plan)
		b.want("then", string(b.task(id(12), "after").State), string(run.Success))
	})
}
