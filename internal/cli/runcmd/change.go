package runcmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"damson/internal/cli/console"
	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/project"
	"damson/internal/run"
	"damson/internal/scheduler"
	"damson/internal/store"
)

// ChangeOptions choose the task runs that clear and mark touch.
type ChangeOptions struct {
	From, To             string
	Tasks                []string
	Upstream, Downstream bool
	Past, Future         bool
	Failed               bool
	Yes                  bool
	SameCode             bool
}

func (o *ChangeOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&o.Tasks, "task", nil, "only this `task`, or the tasks of this group; may be given more than once")
	f.StringVar(&o.From, "from", "", "with a pipeline: first `date`")
	f.StringVar(&o.To, "to", "", "with a pipeline: last `date`")
	f.BoolVar(&o.Upstream, "upstream", false, "and the tasks before them")
	f.BoolVar(&o.Downstream, "downstream", false, "and the tasks after them")
	f.BoolVar(&o.Past, "past", false, "and all earlier runs")
	f.BoolVar(&o.Future, "future", false, "and all later runs")
	f.BoolVar(&o.Failed, "failed", false, "only in failed runs")
	f.BoolVarP(&o.Yes, "yes", "y", false, "do not ask")
}

func (a *app) clearCommand() *cobra.Command {
	var o ChangeOptions
	cmd := &cobra.Command{
		Use:   "clear RUN|PIPELINE",
		Short: "forget outcomes, so that task runs run again",
		Long: `Shows which task runs it would clear and asks. Cleared task runs wait: the next run or backfill over their dates
executes them. A running server executes them at once: a run under way in the version of the project that it began with, one that
has ended in the present one (unless --same-version).`,
		Example: `  damson clear geolife@2007-05-13 --task clean_daily_trajectory --downstream
  damson clear geolife --from 2007-05-01 --to 2007-05-07 --yes`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.change(cmd.Context(), args[0], o, "clear", func(s *store.Store, pl *pipeline.Pipeline, sel engine.Selection) ([]run.Change, error) {
				return engine.Clear(cmd.Context(), s, pl, sel, a.Clock.Now())
			})
		},
		ValidArgsFunction: a.completeRunOrPipeline(),
	}
	o.addFlags(cmd)
	a.CompleteFlags(cmd)
	cmd.Flags().BoolVar(&o.SameCode, "same-version", false, "with a running server: runs that have ended keep the version of the project they ran")
	return cmd
}

func (a *app) markCommand() *cobra.Command {
	var o ChangeOptions
	cmd := &cobra.Command{
		Use:     "mark RUN|PIPELINE success|failed|skipped",
		Short:   "set the state of task runs by hand",
		Example: `  damson mark geolife@2007-05-13 success --task clean_daily_trajectory`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			states := []string{"success", "failed", "skipped"}
			if !slices.Contains(states, args[1]) {
				return console.Usage("Unknown state", fmt.Sprintf("%q is none of %s.", args[1], strings.Join(states, ", ")), diag.DidYouMean(args[1], states))
			}
			return a.change(cmd.Context(), args[0], o, "mark "+args[1], func(s *store.Store, pl *pipeline.Pipeline, sel engine.Selection) ([]run.Change, error) {
				return engine.Mark(cmd.Context(), s, pl, sel, run.State(args[1]), a.Clock.Now())
			})
		},
		ValidArgsFunction: a.completeRunOrPipeline("success", "failed", "skipped"),
	}
	o.addFlags(cmd)
	a.CompleteFlags(cmd)
	return cmd
}

// change works out the changes, shows them, asks, and applies them under the project's lock.
func (a *app) change(ctx context.Context, what string, o ChangeOptions, verb string, plan Changes) error {
	return a.WithStore(ctx, func(p *project.Project, s *store.Store) (err error) {
		leader, err := a.LeaderOf(ctx, p, s)
		if err != nil {
			return err
		}
		if leader == nil {
			lock, err := a.LockProject(p, verb+" "+what)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, lock.Unlock()) }()
		}
		pl, ids, err := a.chooseRuns(ctx, p, s, what, o)
		if err != nil {
			return err
		}
		if _, err := console.ChoosePipeline(p, pl.Name, o.Tasks); err != nil {
			return err
		}
		o.Tasks = console.InGroups(pl, o.Tasks)
		changes, err := plan(s, pl, engine.Selection{RunIDs: ids, Tasks: o.Tasks, Upstream: o.Upstream, Downstream: o.Downstream})
		if err != nil {
			return err
		}
		if n := a.printChanges(changes); n == 0 {
			a.Printf("Nothing to %s.\n", verb)
			return nil
		}
		if leader != nil && verb == "clear" {
			if err := a.askVersion(ctx, s, pl, ids, &o); err != nil {
				return err
			}
		}
		if !o.Yes {
			if err := a.confirm(); err != nil {
				return err
			}
		}
		if leader != nil {
			r := scheduler.Request{Kind: scheduler.ReqClear, SameCode: o.SameCode}
			if word, state, _ := strings.Cut(verb, " "); word == "mark" {
				r.Kind, r.State = scheduler.ReqMark, run.State(state)
			}
			return a.changeRemote(ctx, s, pl, r, changes)
		}
		if err := s.Apply(ctx, changes); err != nil {
			return err
		}
		if verb == "clear" {
			a.Printf("Cleared. `damson backfill %s` runs them.\n", pl.Name)
		} else {
			a.Printf("Marked.\n")
		}
		return nil
	})
}

// askVersion says that some of the runs were made with another version of the pipeline, and on a terminal asks which one they
// are to run now.
func (a *app) askVersion(ctx context.Context, s *store.Store, pl *pipeline.Pipeline, ids []string, o *ChangeOptions) error {
	runs, err := s.Runs(ctx, store.RunFilter{IDs: ids, States: []run.State{run.Success, run.Failed}})
	if err != nil {
		return err
	}
	older := 0
	for _, r := range runs {
		if r.Version != pl.Version {
			older++
		}
	}
	if older == 0 || o.SameCode {
		return nil
	}
	a.Printf("%s of another version of the pipeline: the present one would run now (--same-version keeps theirs).\n", console.Plural(older, "run"))
	if o.Yes || !a.Terminal {
		return nil
	}
	a.Printf("Run the present version? [Y/n] ")
	answer, err := bufio.NewReader(a.In).ReadString('\n')
	if err != nil {
		return console.Usage("Nothing was changed", "The question was not answered.", "Answer it, or add --yes or --same-version.")
	}
	word := strings.ToLower(strings.TrimSpace(answer))
	o.SameCode = word == "n" || word == "no"
	return nil
}

// chooseRuns gives the pipeline and the runs that the argument and flags mean.
func (a *app) chooseRuns(ctx context.Context, p *project.Project, s *store.Store, what string, o ChangeOptions) (*pipeline.Pipeline, []string, error) {
	filter := store.RunFilter{}
	if strings.Contains(what, "@") {
		r, err := findRun(ctx, p, s, what)
		if err != nil {
			return nil, nil, err
		}
		filter.Pipeline, filter.From, filter.To = r.Pipeline, r.Start, r.Start
	} else {
		filter.Pipeline = what
	}
	pl, err := console.ChoosePipeline(p, filter.Pipeline, nil)
	if err != nil {
		return nil, nil, err
	}
	if o.From != "" {
		if filter.From, err = a.ParseDate("--from", o.From, pl.Timezone); err != nil {
			return nil, nil, err
		}
	}
	if o.To != "" {
		if filter.To, err = a.ParseDate("--to", o.To, pl.Timezone); err != nil {
			return nil, nil, err
		}
	}
	if !filter.To.IsZero() && filter.To.Before(filter.From) {
		return nil, nil, console.Usage("The dates are in reverse", fmt.Sprintf("--from %s is after --to %s.", o.From, o.To), "Swap them.")
	}
	if o.Past {
		filter.From = filter.From.AddDate(-9999, 0, 0)
	}
	if o.Future {
		filter.To = filter.To.AddDate(9999, 0, 0)
	}
	if o.Failed {
		filter.States = []run.State{run.Failed}
	}
	runs, err := s.Runs(ctx, filter)
	if err != nil {
		return nil, nil, err
	}
	ids := make([]string, len(runs))
	for i, r := range runs {
		ids[i] = r.ID
	}
	return pl, ids, nil
}

// printChanges shows the task runs that would change, a line a task, and gives their number.
func (a *app) printChanges(changes []run.Change) int {
	type line struct {
		from, to run.State
		runs     []string
	}
	var order []string
	lines := map[string]*line{}
	n := 0
	for _, c := range changes {
		if c.Task == "" {
			continue
		}
		n++
		key := c.Task + "\x00" + string(c.From) + "\x00" + string(c.To)
		if lines[key] == nil {
			lines[key] = &line{from: c.From, to: c.To}
			order = append(order, key)
		}
		lines[key].runs = append(lines[key].runs, c.RunID)
	}
	g := console.NewGrid("task", "now", "then", ">runs", "which").Sentences()
	for _, key := range order {
		task, _, _ := strings.Cut(key, "\x00")
		l := lines[key]
		which := l.runs[0]
		if len(l.runs) > 1 {
			which += " … " + l.runs[len(l.runs)-1]
		}
		g.Add(task, a.State(string(l.from)), a.State(string(l.to)), fmt.Sprint(len(l.runs)), which)
	}
	if n > 0 {
		g.Print(a.App)
	}
	return n
}

// confirm asks on the terminal; without one, --yes must say it.
func (a *app) confirm() error {
	a.Printf("Go on? [y/N] ")
	answer, _ := bufio.NewReader(a.In).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	if !a.Terminal {
		a.Printf("\n")
	}
	return console.Usage("Nothing was changed", "The question was not answered with y.", "Answer y, or add --yes.")
}
