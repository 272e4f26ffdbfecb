package console

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/project"
	"damson/internal/schedule"
	"damson/internal/store"
)

// Completion offers words to the shell: those that may follow the arguments that are there, of which word is begun.
type Completion = func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective)

// offered is how many runs and dates are offered, the latest ones.
const offered = 30

// Offer makes a completion of what gives the words; their order is kept.
func Offer(words func(ctx context.Context, args []string, word string) []string) Completion {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		return words(cmd.Context(), args, word), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// CompleteEnvironments offers the project's environments to the shell.
func (a *App) CompleteEnvironments(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	p, _, err := a.loadQuietly()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return p.Environments, cobra.ShellCompDirectiveNoFileComp
}

// CompletePipelines offers the project's pipelines as the first argument.
func (a *App) CompletePipelines(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.CompleteFirst(args, func(pl *pipeline.Pipeline) []string { return []string{pl.Name} })
}

// CompleteFirst offers names of each pipeline as the first argument.
func (a *App) CompleteFirst(args []string, names func(*pipeline.Pipeline) []string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var all []string
	for _, pl := range a.pipelines() {
		all = append(all, names(pl)...)
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

// CompleteRuns offers runs of the pipeline that the word begins with, the latest first.
func (a *App) CompleteRuns(ctx context.Context, word string) []string {
	name, _, _ := strings.Cut(word, "@")
	if !slices.ContainsFunc(a.pipelines(), func(pl *pipeline.Pipeline) bool { return pl.Name == name }) {
		name = ""
	}
	var ids []string
	a.WhatIsRecorded(ctx, func(r Records) error {
		runs, err := r.Store.Runs(ctx, store.RunFilter{Pipeline: name, Newest: true, Limit: offered})
		for _, r := range runs {
			ids = append(ids, r.ID+"\t"+string(r.State))
		}
		return err
	})
	return ids
}

// PipelineNames are those of the project.
func (a *App) PipelineNames() []string {
	var names []string
	for _, pl := range a.pipelines() {
		names = append(names, pl.Name)
	}
	return names
}

// CompleteFlags completes those of the flags --date, --from, --to and --task that the command has.
func (a *App) CompleteFlags(cmd *cobra.Command) {
	for flag, completion := range map[string]Completion{"date": Offer(a.CompleteDates), "from": Offer(a.CompleteDates), "to": Offer(a.CompleteDates),
		"task": Offer(a.CompleteTasks)} {
		if cmd.Flags().Lookup(flag) != nil {
			_ = cmd.RegisterFlagCompletionFunc(flag, completion)
		}
	}
}

// CompleteTasks offers the tasks of the pipeline, or of the run's pipeline, that the first argument names.
func (a *App) CompleteTasks(_ context.Context, args []string, _ string) []string {
	if pl := a.pipelineOf(args); pl != nil {
		return pl.TaskNames()
	}
	return nil
}

// CompleteDates offers the starts of the latest data intervals that have ended of the pipeline that the first argument names, as
// PIPELINE, RUN or PIPELINE.TASK.
func (a *App) CompleteDates(_ context.Context, args []string, _ string) []string {
	pl := a.pipelineOf(args)
	if pl == nil {
		return []string{"today", "yesterday"}
	}
	s, err := schedule.Parse(pl.Schedule, pl.Timezone)
	if err != nil || s.Manual() {
		return []string{"today", "yesterday"}
	}
	last := a.Clock.Now()
	if !pl.End.IsZero() && pl.End.Before(last) {
		last = pl.End.Add(time.Nanosecond)
	}
	var dates []string
	for at := s.Prev(last); len(dates) < offered && !at.IsZero() && !at.Before(pl.Start); at = s.Prev(at) {
		if _, end := s.IntervalOf(at); !end.After(a.Clock.Now()) {
			dates = append(dates, strings.Replace(DateText(at.In(s.Location())), " ", "T", 1))
		}
	}
	return dates
}

// pipelineOf gives the pipeline that the first argument names, nil when there is none.
func (a *App) pipelineOf(args []string) *pipeline.Pipeline {
	if len(args) == 0 {
		return nil
	}
	name, _, _ := strings.Cut(args[0], "@")
	for _, pl := range a.pipelines() {
		if pl.Name == name || strings.HasPrefix(name, pl.Name+".") {
			return pl
		}
	}
	return nil
}

// loadQuietly reads the project; what its files print would stand in the middle of a command line.
func (a *App) loadQuietly() (*project.Project, diag.Findings, error) {
	defer func(out io.Writer) { a.Err = out }(a.Err)
	a.Err = io.Discard
	return a.LoadProject()
}

// pipelines are those of the project that can be read.
func (a *App) pipelines() []*pipeline.Pipeline {
	p, _, err := a.loadQuietly()
	if err != nil {
		return nil
	}
	return p.Pipelines
}

// WhatIsRecorded reads from the store what is offered to the shell. Nothing is said of what goes wrong, and no store is made.
func (a *App) WhatIsRecorded(ctx context.Context, f func(r Records) error) {
	dir, err := a.FindProject()
	if err != nil {
		return
	}
	if _, err := os.Stat(filepath.Join(dir, StateDir)); err != nil && a.StoreURL() == "" {
		return
	}
	defer func(out io.Writer) { a.Err = out }(a.Err)
	a.Err = io.Discard
	_ = a.WithRecords(ctx, f)
}
