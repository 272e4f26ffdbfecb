package runcmd

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"damson/internal/cli/console"
	"damson/internal/diag"
	"damson/internal/run"
	"damson/internal/scheduler"
	"damson/internal/store"
)

// backfillView is a backfill as it is shown.
type backfillView struct {
	ID       string    `json:"id"`
	Pipeline string    `json:"pipeline"`
	State    string    `json:"state"`
	Created  time.Time `json:"created"`
	Ended    time.Time `json:"ended,omitzero"`
	scheduler.Wish
	Done    int           `json:"runs_ended"`
	Running int           `json:"runs_running"`
	ETA     time.Duration `json:"eta,omitempty"` // nanoseconds until it is done, if it goes on as it did
}

func (a *app) backfillsCommand() *cobra.Command {
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:   "backfills",
		Short: "list the backfills that a server works on, with their progress",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.WithRecords(cmd.Context(), func(records console.Records) error {
				s := records.Store
				stored, err := s.Backfills(cmd.Context(), !all)
				if err != nil {
					return err
				}
				views := []backfillView{}
				for _, b := range stored {
					v, err := a.viewOf(cmd.Context(), s, b)
					if err != nil {
						return err
					}
					views = append(views, v)
				}
				if asJSON {
					return a.PrintJSON(views)
				}
				a.printBackfills(views, all)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those that have ended")
	console.JSONFlag(cmd, &asJSON)
	cmd.AddCommand(a.cancelBackfillCommand())
	return cmd
}

func (a *app) cancelBackfillCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel ID",
		Short: "let a backfill begin no further runs; those under way end",
		Args:  cobra.ExactArgs(1), ValidArgsFunction: a.completeBackfills(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.WithRecords(cmd.Context(), func(records console.Records) error {
				p, s := records.Project, records.Store
				leader, err := a.LeaderOf(cmd.Context(), p, s)
				if err != nil {
					return err
				}
				if leader == nil {
					return noServer("A backfill of its own")
				}
				if _, err := a.ask(cmd.Context(), s, scheduler.Request{Kind: scheduler.ReqCancel, ID: args[0]}); err != nil {
					return err
				}
				a.Printf("Cancelled.\n")
				return nil
			})
		},
	}
}

func (a *app) printBackfills(views []backfillView, all bool) {
	if len(views) == 0 {
		if all {
			a.Printf("No backfills yet.\n")
		} else {
			a.Printf("No backfill is open. --all shows those that have ended.\n")
		}
		return
	}
	g := console.NewGrid("backfill", "state", "from", "to", ">runs", ">failed", "by", "left")
	for _, v := range views {
		left := ""
		if v.ETA > 0 {
			left = "about " + console.Seconds(v.ETA)
		}
		g.Add(v.ID, a.State(v.State), console.DateText(v.From), console.DateText(v.To), fmt.Sprintf("%d of %d", v.Done, v.Total), fmt.Sprint(v.Failed), v.By, left)
	}
	g.Print(a.App)
}

// backfillView reads where a backfill stands.
func (a *app) backfillView(ctx context.Context, s *store.Store, id string) (backfillView, error) {
	all, err := s.Backfills(ctx, false)
	if err != nil {
		return backfillView{}, err
	}
	for _, b := range all {
		if b.ID == id {
			return a.viewOf(ctx, s, b)
		}
	}
	return backfillView{}, diag.Finding{Summary: "Unknown backfill", Detail: fmt.Sprintf("There is no backfill %q.", id), Fix: "See `damson backfills --all`."}
}

func (a *app) viewOf(ctx context.Context, s *store.Store, b store.Backfill) (backfillView, error) {
	v := backfillView{ID: b.ID, Pipeline: b.Pipeline, State: b.State, Created: b.Created, Ended: b.Ended}
	if err := json.Unmarshal(b.Body, &v.Wish); err != nil {
		return v, fmt.Errorf("reading backfill %s: %w", b.ID, err)
	}
	runs, err := s.Runs(ctx, store.RunFilter{Pipeline: b.Pipeline, From: v.From, To: v.To})
	if err != nil {
		return v, err
	}
	since := 0
	for _, r := range runs {
		switch {
		case r.Start.Before(v.Cursor) && r.State.Ended():
			v.Done++
			if r.Ended.After(b.Created) {
				since++
			}
		case r.State == run.Running:
			v.Running++
		}
		if r.State == run.Failed && b.State == scheduler.BackfillOpen {
			v.Failed++
		}
	}
	if since > 0 && b.State == scheduler.BackfillOpen {
		each := a.Clock.Now().Sub(b.Created) / time.Duration(since)
		v.ETA = each * time.Duration(v.Total-v.Done)
	}
	return v, nil
}
