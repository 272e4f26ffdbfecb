// Package stale finds what should be scored again: runs of score tasks whose rows are of another version than the one that the task
// scores by. Its central type is Scores. It changes nothing.
package stale

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"damson/internal/model"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/store"
)

// Past tells which runs there were; *store.Store is one.
type Past interface {
	Runs(ctx context.Context, f store.RunFilter) ([]run.Run, error)
	TaskRuns(ctx context.Context, runIDs ...string) ([]run.TaskRun, error)
}

// Scores are the runs of one score task whose rows are not of the version that it scores by.
type Scores struct {
	Pipeline  string      `json:"pipeline"`
	Task      string      `json:"task"`
	Into      string      `json:"into"`
	Alias     string      `json:"alias,omitempty"`   // by which it scores; "" = the champion
	Champion  int         `json:"champion,omitzero"` // the version, when it is the champion's
	Version   int         `json:"version"`           // that it scores by
	ByVersion map[int]int `json:"by_version"`        // runs that an older or other version scored; 0: no version, they were skipped
	Runs      []string    `json:"-"`
	whole     bool        // every run replaces all rows of the table
}

// Find gives those of a model's score tasks that have any. ref is what the tasks score by, the champion or an alias, and version the one that
// it means now.
func Find(ctx context.Context, past Past, pipelines []*pipeline.Pipeline, name string, ref model.Reference, version int) ([]Scores, error) {
	var all []Scores
	for _, pl := range pipelines {
		for _, t := range pl.Tasks {
			if t.Score == nil || t.Score.Model != name || t.Score.Version != ref.Alias {
				continue
			}
			o := Scores{Pipeline: pl.Name, Task: t.Name, Into: t.Score.Target.Into, Alias: ref.Alias, Version: version, ByVersion: map[int]int{},
				whole: t.Score.Target.PartitionBy == "" && t.Score.Target.Mode == pipeline.Replace}
			if ref.Alias == "" {
				o.Champion = version
			}
			if err := o.find(ctx, past); err != nil {
				return nil, err
			}
			if len(o.Runs) > 0 {
				all = append(all, o)
			}
		}
	}
	return all, nil
}

// find reads the task's runs. A table without partitions has one set of rows: only its last scoring counts.
func (o *Scores) find(ctx context.Context, past Past) error {
	runs, err := past.Runs(ctx, store.RunFilter{Pipeline: o.Pipeline})
	if err != nil {
		return err
	}
	ids := make([]string, len(runs))
	for i, r := range runs {
		ids[i] = r.ID
	}
	tasks, err := past.TaskRuns(ctx, ids...)
	if err != nil {
		return err
	}
	tasks = slices.DeleteFunc(tasks, func(t run.TaskRun) bool {
		return t.Task != o.Task || t.State != run.Success && t.State != run.Skipped
	})
	if o.whole && len(tasks) > 0 {
		tasks = []run.TaskRun{slices.MaxFunc(tasks, func(a, b run.TaskRun) int {
			return cmp.Or(cmp.Compare(wrote(a), wrote(b)), a.Ended.Compare(b.Ended))
		})}
	}
	for _, t := range tasks {
		var scored struct {
			Version int `json:"version"`
		}
		if t.State == run.Success && json.Unmarshal(t.Result, &scored) != nil {
			continue
		}
		if scored.Version != o.Version {
			o.ByVersion[scored.Version]++
			o.Runs = append(o.Runs, t.RunID)
		}
	}
	return nil
}

// wrote is 1 when the task run wrote rows.
func wrote(t run.TaskRun) int {
	if t.State == run.Success {
		return 1
	}
	return 0
}

// Describe tells which versions the outdated rows are of: "26 by version 1, 3 by none".
func (o Scores) Describe() string {
	var parts []string
	for _, v := range slices.Sorted(maps.Keys(o.ByVersion)) {
		by := fmt.Sprintf("version %d", v)
		if v == 0 {
			by = "none"
		}
		parts = append(parts, fmt.Sprintf("%d by %s", o.ByVersion[v], by))
	}
	return strings.Join(parts, ", ")
}

// String says what a person is told: which runs of which task are of other versions.
func (o Scores) String() string {
	noun := "runs"
	if len(o.Runs) == 1 {
		noun = "run"
	}
	return fmt.Sprintf("%d %s of %s in %s: not scored by version %d (%s)", len(o.Runs), noun, o.Task, o.Pipeline, o.Version, o.Describe())
}
