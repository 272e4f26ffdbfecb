package runcmd

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"damson/internal/cli/console"
	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/migrate/history"
	"damson/internal/project"
	"damson/internal/run"
	"damson/internal/store"
)

// DefaultBatch is how many adjacent runs a backfill opens together unless told otherwise; bench/geolife has the measurements.
const DefaultBatch = 366

// driveOptions are the flags that run and backfill share.
type driveOptions struct {
	tasks    []string
	params   []string
	parallel int
	batch    int
	rerun    string
	json     bool
	detach   bool
	now      bool // the run is for this moment: a run of its own
}

func (o *driveOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.tasks, "task", nil, "only this `task`, or the tasks of this group; may be given more than once")
	cmd.Flags().IntVar(&o.parallel, "parallel", 0, "at most this many `tasks` at a time (default: one for each processor)")
	console.JSONFlag(cmd, &o.json)
}

func (a *app) runCommand() *cobra.Command {
	var o driveOptions
	var date string
	cmd := &cobra.Command{
		Use:   "run PIPELINE",
		Short: "run a pipeline for one data interval, now, to its end",
		Long: `Runs a pipeline for the data interval that holds --date, whether it ran before or not: its rows are replaced, never
doubled. A pipeline without a schedule needs no date.`,
		Example: `  damson run geolife --date 2007-04-12
  damson run geolife --date 2007-04-12 --task predict_walk`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, pl, err := a.OpenPipeline(args[0], o.tasks)
			if err != nil {
				return err
			}
			o.tasks = console.InGroups(pl, o.tasks)
			interval, err := a.IntervalOf(pl, date, "run "+pl.Name)
			if err != nil {
				return err
			}
			o.now = date == ""
			params, err := console.ParseParams(pl, o.params)
			if err != nil {
				return err
			}
			return a.drive(cmd.Context(), p, o, engine.Plan{
				Pipeline: pl, Intervals: []run.Interval{interval}, Tasks: o.tasks, Rerun: engine.RerunAll, Params: params, Trigger: "manual",
			})
		},
		ValidArgsFunction: a.CompletePipelines,
	}
	cmd.Flags().StringVar(&date, "date", "", "the `date` whose data interval is run")
	cmd.Flags().StringArrayVar(&o.params, "param", nil, "a parameter of the pipeline as `key=value`; may be given more than once")
	o.addFlags(cmd)
	a.CompleteFlags(cmd)
	return cmd
}

func (a *app) backfillCommand() *cobra.Command {
	var o driveOptions
	var from, to string
	cmd := &cobra.Command{
		Use:   "backfill PIPELINE",
		Short: "run a pipeline for all data intervals between two dates, both included",
		Long: `Runs every data interval of the range that has not ended yet, and goes on where an earlier backfill was stopped,
whether by Ctrl-C or by a crash. Intervals that are done stay as they are unless --rerun says otherwise.
Tasks that allow it (batch = True) are executed for several adjacent intervals at once.`,
		Example: `  damson backfill geolife --from 2007-04-12 --to 2007-05-07
  damson backfill geolife --rerun failed`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, pl, err := a.OpenPipeline(args[0], o.tasks)
			if err != nil {
				return err
			}
			o.tasks = console.InGroups(pl, o.tasks)
			if o.batch < 1 {
				return console.Usage("Unusable --batch", fmt.Sprintf("--batch is %d.", o.batch), "Write 1 or more; 1 runs each interval alone.")
			}
			rerun, err := parseRerun(o.rerun)
			if err != nil {
				return err
			}
			intervals, err := a.IntervalsBetween(pl, from, to)
			if err != nil {
				return err
			}
			return a.drive(cmd.Context(), p, o, engine.Plan{
				Pipeline: pl, Intervals: intervals, Tasks: o.tasks, Rerun: rerun, Trigger: "backfill", Batch: o.batch,
			})
		},
		ValidArgsFunction: a.CompletePipelines,
	}
	cmd.Flags().StringVar(&from, "from", "", "first `date` (default: the pipeline's start)")
	cmd.Flags().StringVar(&to, "to", "", "last `date` (default: the pipeline's end, or its latest data interval)")
	cmd.Flags().StringVar(&o.rerun, "rerun", "none", "run again what has ended: `none`, failed or all")
	cmd.Flags().IntVar(&o.batch, "batch", DefaultBatch, "execute at most this many adjacent `runs` at once; 1 = each alone")
	cmd.Flags().BoolVar(&o.detach, "detach", false, "with a running server: do not wait for the end")
	_ = cmd.RegisterFlagCompletionFunc("rerun", cobra.FixedCompletions([]string{"none", "failed", "all"}, cobra.ShellCompDirectiveNoFileComp))
	o.addFlags(cmd)
	a.CompleteFlags(cmd)
	return cmd
}

func parseRerun(text string) (engine.Rerun, error) {
	switch r := engine.Rerun(text); r {
	case engine.RerunNone, engine.RerunFailed, engine.RerunAll:
		return r, nil
	}
	return "", console.Usage("Unreadable --rerun", fmt.Sprintf("%q is none of none, failed, all.", text), diag.DidYouMean(text, []string{"none", "failed", "all"}))
}

// drive opens the workspace, runs the plan to its end and says how it ended.
func (a *app) drive(ctx context.Context, p *project.Project, o driveOptions, plan engine.Plan) error {
	if there, err := a.throughServer(ctx, p, o, &plan); there || err != nil {
		return err
	}
	if o.detach {
		return noServer("A backfill that goes on by itself")
	}
	w, err := a.WorkspaceOf(ctx, p, plan.Trigger+" "+plan.Pipeline.Name)
	if err != nil {
		return err
	}
	if text := history.Warning(ctx, w.Warehouse, p.Migrations, p.Environment.Kind()); text != "" {
		fmt.Fprintf(a.Err, "warning: %s\n", text)
	}
	_, report, err := a.watchPlan(ctx, w, o.parallel, plan)
	var done []run.TaskRun
	if err == nil && plan.Trigger == "manual" && !o.json {
		done, err = w.Store.TaskRuns(context.WithoutCancel(ctx), run.NewID(plan.Pipeline.Name, plan.Intervals[0].Start))
	}
	if err := joinClose(err, w); err != nil {
		return err
	}
	if o.json {
		if err := a.PrintJSON(report); err != nil {
			return err
		}
	} else {
		a.printDone(plan, inPipelineOrder(p, plan.Pipeline.Name, done))
		a.printReport(plan, report)
	}
	if report.Interrupted || wentWrong(plan, report) {
		return console.ErrSilent
	}
	return nil
}

// throughServer has a running server drive the plan; false when none runs. A run for this moment gets the next one that no run
// has: another's would be run again, with the other's parameters.
func (a *app) throughServer(ctx context.Context, p *project.Project, o driveOptions, plan *engine.Plan) (there bool, err error) {
	s, err := a.OpenStore(ctx, p)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if o.now {
		if plan.Intervals, err = freeMoment(ctx, s, plan.Pipeline.Name, plan.Intervals[0].Start); err != nil {
			return false, err
		}
	}
	leader, err := a.LeaderOf(ctx, p, s)
	if err != nil || leader == nil {
		return false, err
	}
	return true, a.driveRemote(ctx, p, s, o, *plan)
}

// freeMoment gives the first second from a moment on for which a pipeline has no run.
func freeMoment(ctx context.Context, s *store.Store, name string, at time.Time) ([]run.Interval, error) {
	later, err := s.Runs(ctx, store.RunFilter{Pipeline: name, From: at})
	if err != nil {
		return nil, err
	}
	for slices.ContainsFunc(later, func(r run.Run) bool { return r.Start.Equal(at) }) {
		at = at.Add(time.Second)
	}
	return []run.Interval{{Start: at, End: at}}, nil
}

// printDone prints a line for each of the plan's task runs: what became of it, how long it took and what it did.
func (a *app) printDone(plan engine.Plan, tasks []run.TaskRun) {
	g := console.NewGrid("task", "state", ">took", "result").Sentences()
	for _, t := range tasks {
		if len(plan.Tasks) == 0 || slices.Contains(plan.Tasks, t.Task) {
			g.Add(t.Task, a.State(string(t.State)), took(t.Started, t.Ended), taskNote(t))
		}
	}
	if len(g.Rows) > 0 {
		g.Print(a.App)
	}
}

// joinClose closes the workspace and keeps the first error in front.
func joinClose(err error, w *console.Workspace) error {
	if closeErr := w.Close(); err == nil {
		return closeErr
	}
	return err
}

// watchPlan drives a plan with a progress display, which has counted what each task took.
func (a *app) watchPlan(ctx context.Context, w *console.Workspace, parallel int, plan engine.Plan) (*progress, engine.Report, error) {
	shop := a.Shop(w.Project, w.Store, w.Warehouse)
	shop.Starter = &localStarter{app: a, w: w, parallel: parallel}
	n := len(plan.Pipeline.Tasks)
	if plan.Tasks != nil {
		n = len(plan.Tasks)
	}
	watch := a.newProgress(plan.Pipeline.Name, n*len(plan.Intervals))
	if parallel <= 0 {
		parallel = runtime.NumCPU()
	}
	e := engine.New(w.Store, w.Warehouse, shop.Executors(), a.Clock, engine.Options{Parallel: parallel, Observer: watch, Datasets: datasets(w.Project)})
	report, err := e.Run(ctx, plan)
	watch.stop()
	return watch, report, err
}

// datasets lists the tables that pipelines of the project wait for.
func datasets(p *project.Project) []string {
	var all []string
	for _, pl := range p.Pipelines {
		all = append(all, pl.On...)
	}
	return all
}

// printReport says how a plan ended, in words.
func (a *app) printReport(plan engine.Plan, r engine.Report) {
	a.printFailures(plan.Pipeline.Name, r.Failures)
	name := a.Style(console.StyleHead, plan.Pipeline.Name)
	ran := r.Tasks.Success + r.Tasks.Failed + r.Tasks.UpstreamFailed + r.Tasks.Skipped
	if ran == 0 && !r.Interrupted && r.Open == 0 {
		a.Printf("%s: nothing to do, %s already complete%s: --rerun all runs them again.\n", name, console.Plural(r.Untouched, "run"), outdated(r))
		return
	}
	a.Printf("%s: %s, %s of %d", name, a.outcome(plan, r), console.Plural(r.Succeeded, "run"), len(plan.Intervals))
	if r.Untouched > 0 {
		a.Printf(" (%d done before%s)", r.Untouched, outdated(r))
	}
	a.Printf("; tasks: %d succeeded", r.Tasks.Success)
	for _, c := range []struct {
		n    int
		word string
	}{{r.Tasks.Failed, "failed"}, {r.Tasks.UpstreamFailed, "not run because of that"}, {r.Tasks.Skipped, "skipped"}} {
		if c.n > 0 {
			a.Printf(", %d %s", c.n, c.word)
		}
	}
	if r.Recovered > 0 {
		a.Printf(", %d taken over from a process that died", r.Recovered)
	}
	a.Printf("; %s\n", console.Seconds(r.Ended.Sub(r.Started)))
	switch {
	case r.Resume == "" && !wentWrong(plan, r):
	case plan.Trigger == "manual" && !r.Interrupted:
		a.Printf("Mend the cause and run the same command again.\n")
	default:
		a.Printf("%s\n", r.Resume)
	}
}

// outdated says how many of the untouched runs the project of today would perhaps make differently.
func outdated(r engine.Report) string {
	if r.Outdated == 0 {
		return ""
	}
	return fmt.Sprintf(", %s of them with an older version of the pipeline", console.Count(int64(r.Outdated)))
}

// wentWrong: a run failed, or a task that was asked for by name. A run whose last tasks succeeded earlier stays a success when
// one of its first ones is run alone and fails; whoever asked for that one has to hear of it.
func wentWrong(plan engine.Plan, r engine.Report) bool {
	return r.Failed > 0 || len(plan.Tasks) > 0 && r.Tasks.Failed+r.Tasks.UpstreamFailed > 0
}

func (a *app) outcome(plan engine.Plan, r engine.Report) string {
	switch {
	case r.Interrupted:
		return a.Style(console.StyleBad, "interrupted")
	case wentWrong(plan, r):
		return a.Style(console.StyleBad, "failed")
	}
	return a.Style(console.StyleGood, "done")
}
