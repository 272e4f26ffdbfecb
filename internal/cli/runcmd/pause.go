package runcmd

import (
	"context"

	"github.com/spf13/cobra"

	"damson/internal/cli/console"
	"damson/internal/scheduler"
	"damson/internal/store"
)

func (a *app) pauseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pause PIPELINE…",
		Short: "let pipelines start nothing by themselves",
		Long: `A paused pipeline makes no runs by its schedule and starts no tasks of those it has; tasks under way end. What a person
asks for by run or backfill runs all the same.`,
		Args:              cobra.MinimumNArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return a.pause(cmd.Context(), args, true) },
		ValidArgsFunction: a.completeMore(),
	}
}

func (a *app) unpauseCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "unpause PIPELINE…",
		Short:             "let paused pipelines go on; with catchup they do what they have missed",
		Args:              cobra.MinimumNArgs(1),
		RunE:              func(cmd *cobra.Command, args []string) error { return a.pause(cmd.Context(), args, false) },
		ValidArgsFunction: a.completeMore(),
	}
}

// pause changes whether pipelines are paused: by the server, or in the store when none runs.
func (a *app) pause(ctx context.Context, names []string, paused bool) error {
	return a.WithRecords(ctx, func(records console.Records) error {
		p, s := records.Project, records.Store
		for _, name := range names {
			if err := knownPipeline(ctx, p, s, name); err != nil {
				return err
			}
		}
		leader, err := a.LeaderOf(ctx, p, s)
		if err != nil {
			return err
		}
		for _, name := range names {
			if leader != nil {
				kind := scheduler.ReqPause
				if !paused {
					kind = scheduler.ReqUnpause
				}
				_, err = a.ask(ctx, s, scheduler.Request{Kind: kind, Pipeline: name})
			} else {
				err = a.pauseStored(ctx, s, name, paused)
			}
			if err != nil {
				return err
			}
			word := "paused"
			if !paused {
				word = "not paused any more"
			}
			a.Printf("%s is %s.\n", name, word)
		}
		return nil
	})
}

// pauseStored changes the store, which no server leads.
func (a *app) pauseStored(ctx context.Context, s *store.Store, name string, paused bool) error {
	states, err := s.PipelineStates(ctx)
	if err != nil {
		return err
	}
	state := store.PipelineState{Name: name}
	for _, known := range states {
		if known.Name == name {
			state = known
		}
	}
	state.Paused, state.PausedBy = paused, ""
	if paused {
		state.PausedBy, state.PausedAt = console.Whoami(), a.Clock.Now()
	}
	return s.Commit(ctx, store.Batch{Pipelines: []store.PipelineState{state}})
}
