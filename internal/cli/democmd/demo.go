package democmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"damson/examples"
	"damson/internal/citydata"
	"damson/internal/cli/console"
	"damson/internal/cli/runcmd"
	"damson/internal/cli/servecmd"
	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/project"
	"damson/internal/run"
	"damson/internal/sqltext"
	"damson/internal/warehouse/rows"
)

// demoOptions are the flags of demo.
type demoOptions struct {
	noServe   bool
	data, dir string
	seed      int64
	parallel  int
	json      bool
}

func (a *app) demoCommand() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "the GeoLife project end to end: files, features, judged models, predictions",
		Long: `Makes the GeoLife project, loads GPS files, computes features day by day, trains and judges a model of walk or not
walk and one of five modes, scores the rest, and reports on it. Without --data it makes the GPS files of a believable
city; with --data it reads real ones in GeoLife's own layout (Data/NNN/Trajectory/*.plt, labels.txt). Run again, it
continues where it stopped. After the report it serves the project, as damson serve does, until Ctrl-C.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "", "a `directory` in GeoLife's layout (default: generated files)")
	f.StringVar(&o.dir, "dir", "damson-demo", "the project's `directory`")
	f.Int64Var(&o.seed, "seed", 1, "of the generated `city`")
	f.IntVar(&o.parallel, "parallel", 0, "at most this many `tasks` at a time (default: one for each processor)")
	f.BoolVar(&o.noServe, "no-serve", false, "end after the report instead of serving the project; --json does so too")
	console.JSONFlag(cmd, &o.json)
	return cmd
}

// The example's pipelines.
const (
	demoLoad  = "geolife_load"
	demoDaily = "geolife"
	demoTrain = "geolife_model_training"
)

// demo makes the project when it is not there yet, runs its three pipelines and scores with the champions, then reports.
func (a *app) demo(ctx context.Context, o demoOptions) error {
	started := a.Clock.Now()
	if err := a.demoProject(ctx, o); err != nil {
		return err
	}
	a.ProjectDir = o.dir
	if err := a.demoReport(ctx, o, started); err != nil || o.noServe || o.json {
		return err
	}
	return servecmd.Serve(ctx, a.App)
}

// demoReport runs the demo's pipelines and reports on them.
func (a *app) demoReport(ctx context.Context, o demoOptions, started time.Time) error {
	return a.WithWorkspace(ctx, "demo", func(w *console.Workspace) error {
		d := &demo{app: a, w: w, options: o}
		for _, step := range []func(context.Context) error{d.load, d.backfill, d.train, d.score} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		report, err := d.report(ctx)
		if err != nil {
			return err
		}
		report.Seconds = a.Clock.Now().Sub(started).Seconds()
		if o.json {
			return a.PrintJSON(report)
		}
		a.printDemo(report)
		return nil
	})
}

// demoProject makes the project and its data, unless an earlier demo has.
func (a *app) demoProject(ctx context.Context, o demoOptions) error {
	if _, err := os.Stat(filepath.Join(o.dir, project.ConfigFile)); errors.Is(err, os.ErrNotExist) {
		if o.data != "" {
			if err := checkGeoLife(o.data); err != nil {
				return err
			}
		}
		if err := project.Init(o.dir, examples.GeoLife()); err != nil {
			return err
		}
		if err := pointToData(o); err != nil {
			return err
		}
	} else if o.data != "" {
		if err := checkSameData(o); err != nil {
			return err
		}
	}
	made := filepath.Join(o.dir, "data")
	if o.data != "" {
		return nil
	}
	if _, err := os.Stat(filepath.Join(made, "Data")); err == nil {
		return nil
	}
	s, err := citydata.Generate(ctx, made, citydata.Options{Seed: o.seed})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Err, "made %s: %s of %s, %s, %s to %s\n", console.Inside(made), console.Plural(s.Files, "file"), console.Plural(s.Users, "user"),
		console.Plural(int(s.Points), "point"), s.FirstDate, s.LastDate)
	return nil
}

// checkGeoLife refuses a directory without trajectories before anything is made.
func checkGeoLife(dir string) error {
	found, err := filepath.Glob(filepath.Join(dir, "Data", "*", "Trajectory", "*.plt"))
	if err == nil && len(found) > 0 {
		return nil
	}
	f := diag.Finding{Summary: "No GeoLife data", Detail: fmt.Sprintf("%s has no files Data/NNN/Trajectory/*.plt.", dir),
		Fix: "Name the directory that holds Data, or leave --data away to see the demo on generated files."}
	if _, err := os.Stat(dir); err != nil {
		f.Detail = fmt.Sprintf("%s cannot be read: %v.", dir, err)
	}
	if below, _ := filepath.Glob(filepath.Join(dir, "*", "Trajectory", "*.plt")); len(below) > 0 {
		f.Fix = fmt.Sprintf("Trajectories lie in %s itself: name the directory above it, --data %s.", dir, filepath.Dir(filepath.Clean(dir)))
	}
	return console.UsageError{Finding: f}
}

// checkSameData refuses to show other data than the project in --dir was made for.
func checkSameData(o demoOptions) error {
	abs, err := filepath.Abs(o.data)
	if err != nil {
		return diag.AsFinding("No absolute path of --data", err)
	}
	p, _ := project.Load(o.dir, project.Options{})
	if have := p.Vars["data_dir"]; have != abs {
		return console.Usage("Another demo is there", fmt.Sprintf("%s is a project on the data in %v, not in %s.", o.dir, have, abs),
			"Choose another --dir, or remove that directory.")
	}
	return nil
}

var dataDirLine = regexp.MustCompile(`(?m)^(\s*)data_dir:.*$`)

// pointToData writes the place of the files into the new project's damson.yaml.
func pointToData(o demoOptions) error {
	if o.data == "" {
		return nil
	}
	abs, err := filepath.Abs(o.data)
	if err != nil {
		return diag.AsFinding("No absolute path of --data", err)
	}
	path := filepath.Join(o.dir, project.ConfigFile)
	config, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	quoted := "'" + strings.ReplaceAll(abs, "'", "''") + "'"
	return console.WriteFile(path, dataDirLine.ReplaceAllFunc(config, func(line []byte) []byte {
		return []byte(dataDirLine.FindStringSubmatch(string(line))[1] + "data_dir: " + quoted)
	}))
}

// demo is one demonstration under way.
type demo struct {
	app     *app
	w       *console.Workspace
	options demoOptions
	first   time.Time // of the points' days, from the pipeline's start
	last    time.Time
	steps   []demoStep
}

// demoStep is a finished plan with what its tasks took.
type demoStep struct {
	pipeline *pipeline.Pipeline
	report   engine.Report
	took     map[string]time.Duration // by task
}

// drive runs a plan; a failed task ends the demo.
func (d *demo) drive(ctx context.Context, plan engine.Plan) error {
	took, report, err := runcmd.Watch(ctx, d.app.App, d.w, d.options.parallel, plan)
	if err != nil {
		return err
	}
	d.steps = append(d.steps, demoStep{plan.Pipeline, report, took})
	if report.Failed > 0 || report.Interrupted {
		runcmd.PrintReport(d.app.App, plan, report)
		return console.ErrSilent
	}
	return nil
}

func (d *demo) load(ctx context.Context) error {
	p, err := d.w.Project.Pipeline(demoLoad)
	if err != nil {
		return err
	}
	at := d.app.Clock.Now().Truncate(time.Second)
	if err := d.drive(ctx, engine.Plan{Pipeline: p, Intervals: []run.Interval{{Start: at, End: at}}, Trigger: "manual"}); err != nil {
		return err
	}
	return d.findDays(ctx, p)
}

// findDays looks up which days the loaded points have.
func (d *demo) findDays(ctx context.Context, p *pipeline.Pipeline) error {
	daily, err := d.w.Project.Pipeline(demoDaily)
	if err != nil {
		return err
	}
	sql := fmt.Sprintf("select min(tdate), max(tdate) from %s where tdate >= date '%s'", p.Tasks[0].Into(), daily.Start.Format(time.DateOnly))
	reader, err := d.w.Warehouse.Query(ctx, sqltext.Plain("demo", sql))
	if err != nil {
		return err
	}
	defer reader.Release()
	ok := false
	for reader.Next() {
		batch := reader.RecordBatch()
		d.first, ok = rows.Time(batch.Column(0), 0)
		d.last, _ = rows.Time(batch.Column(1), 0)
	}
	if err := reader.Err(); err != nil {
		return err
	}
	if !ok {
		return diag.Finding{Summary: "No points to work on", Detail: fmt.Sprintf("None of the loaded points is of %s or later, where pipeline %q starts.", console.DateText(daily.Start), demoDaily),
			Fix: "Choose data of later days, or set an earlier start in pipelines/geolife.star."}
	}
	return nil
}

func (d *demo) backfill(ctx context.Context) error {
	return d.daily(ctx, engine.Plan{Rerun: engine.RerunFailed})
}

// score runs the scoring again now that there are champions.
func (d *demo) score(ctx context.Context) error {
	p, err := d.w.Project.Pipeline(demoDaily)
	if err != nil {
		return err
	}
	plan := engine.Plan{Rerun: engine.RerunAll}
	for _, t := range p.Tasks {
		if t.Kind == pipeline.ScoreTask {
			plan.Tasks = append(plan.Tasks, t.Name)
		}
	}
	return d.daily(ctx, plan)
}

// daily drives the daily pipeline over the points' days.
func (d *demo) daily(ctx context.Context, plan engine.Plan) error {
	p, err := d.w.Project.Pipeline(demoDaily)
	if err != nil {
		return err
	}
	plan.Pipeline, plan.Trigger, plan.Batch = p, "backfill", runcmd.DefaultBatch
	if plan.Intervals, err = d.app.IntervalsBetween(p, d.first.Format(time.DateOnly), d.last.Format(time.DateOnly)); err != nil {
		return err
	}
	return d.drive(ctx, plan)
}

func (d *demo) train(ctx context.Context) error {
	p, err := d.w.Project.Pipeline(demoTrain)
	if err != nil {
		return err
	}
	interval, err := d.app.IntervalOf(p, d.last.Format(time.DateOnly), "run "+p.Name)
	if err != nil {
		return err
	}
	return d.drive(ctx, engine.Plan{Pipeline: p, Intervals: []run.Interval{interval}, Rerun: engine.RerunAll, Trigger: "manual"})
}
