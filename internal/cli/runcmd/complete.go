package runcmd

import (
	"context"
	"slices"

	"damson/internal/cli/console"
)

// completeRun offers runs as the only argument.
func (a *app) completeRun() console.Completion {
	return console.Offer(func(ctx context.Context, args []string, word string) []string {
		if len(args) > 0 {
			return nil
		}
		return a.CompleteRuns(ctx, word)
	})
}

// completeRunTask offers RUN TASK, and pipelines in place of the run.
func (a *app) completeRunTask(pipelines bool) console.Completion {
	return console.Offer(func(ctx context.Context, args []string, word string) []string {
		switch {
		case len(args) == 1:
			return a.tasksOfRun(ctx, args[0])
		case len(args) > 1:
			return nil
		case pipelines:
			return append(a.PipelineNames(), a.CompleteRuns(ctx, word)...)
		}
		return a.CompleteRuns(ctx, word)
	})
}

// completeRunOrPipeline offers a run or a pipeline, and then one of the words.
func (a *app) completeRunOrPipeline(then ...string) console.Completion {
	return console.Offer(func(ctx context.Context, args []string, word string) []string {
		switch len(args) {
		case 0:
			return append(a.PipelineNames(), a.CompleteRuns(ctx, word)...)
		case 1:
			return then
		}
		return nil
	})
}

// completeMore offers the pipelines that are not there yet.
func (a *app) completeMore() console.Completion {
	return console.Offer(func(_ context.Context, args []string, _ string) []string {
		return slices.DeleteFunc(a.PipelineNames(), func(name string) bool { return slices.Contains(args, name) })
	})
}

// completeBackfills offers the backfills that are open.
func (a *app) completeBackfills() console.Completion {
	return console.Offer(func(ctx context.Context, args []string, _ string) (ids []string) {
		if len(args) > 0 {
			return nil
		}
		a.WhatIsRecorded(ctx, func(r console.Records) error {
			open, err := r.Store.Backfills(ctx, true)
			for _, b := range open {
				ids = append(ids, b.ID+"\t"+b.Pipeline)
			}
			return err
		})
		return ids
	})
}

// tasksOfRun are the tasks that a run has, the items of mapped ones too.
func (a *app) tasksOfRun(ctx context.Context, id string) (names []string) {
	a.WhatIsRecorded(ctx, func(r console.Records) error {
		tasks, err := r.Store.TaskRuns(ctx, id)
		for _, t := range tasks {
			names = append(names, t.Task+"\t"+string(t.State))
		}
		return err
	})
	return names
}
