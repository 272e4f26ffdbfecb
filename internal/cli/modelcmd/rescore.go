package modelcmd

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"damson/internal/cli/console"
	"damson/internal/cli/runcmd"
	"damson/internal/engine"
	"damson/internal/model"
	"damson/internal/pipeline"
	"damson/internal/project"
	"damson/internal/registry"
	"damson/internal/run"
	"damson/internal/store"
)

// staleScores are the task runs of one score task whose rows are not of the version that it scores by.
type staleScores struct {
	Pipeline  string      `json:"pipeline"`
	Task      string      `json:"task"`
	Into      string      `json:"into"`
	Alias     string      `json:"alias,omitempty"`   // by which it scores; "" = the champion
	Champion  int         `json:"champion,omitzero"` // the version, when it is the champion's
	Version   int         `json:"version"`           // that it scores by
	ByVersion map[int]int `json:"by_version"`        // runs that an older or other version scored; 0: no version, they were skipped
	runs      []string
	whole     bool // every run replaces all rows of the table
}

// outdatedScores finds what a model's champion, or the version that an alias names, has not scored and should have. Without that
// version nothing is outdated.
func outdatedScores(ctx context.Context, p *project.Project, s *store.Store, r *registry.Registry, name string, ref model.Reference) ([]staleScores, error) {
	v, err := r.Scoring(ctx, name, ref)
	if err != nil || v == nil {
		return nil, err
	}
	var all []staleScores
	for _, pl := range p.Pipelines {
		for _, t := range pl.Tasks {
			if t.Score == nil || t.Score.Model != name || t.Score.Version != ref.Alias {
				continue
			}
			o := staleScores{Pipeline: pl.Name, Task: t.Name, Into: t.Score.Target.Into, Alias: ref.Alias, Version: v.Number, ByVersion: map[int]int{},
				whole: t.Score.Target.PartitionBy == "" && t.Score.Target.Mode == pipeline.Replace}
			if ref.Alias == "" {
				o.Champion = v.Number
			}
			if err := o.find(ctx, s); err != nil {
				return nil, err
			}
			if len(o.runs) > 0 {
				all = append(all, o)
			}
		}
	}
	return all, nil
}

// scoreTasks counts the tasks that score by the model's champion, or by the version that an alias names.
func scoreTasks(p *project.Project, name string, ref model.Reference) (n int) {
	for _, pl := range p.Pipelines {
		for _, t := range pl.Tasks {
			if t.Score != nil && t.Score.Model == name && t.Score.Version == ref.Alias {
				n++
			}
		}
	}
	return n
}

// find reads the task's runs. A table without partitions has one set of rows: only its last scoring counts.
func (o *staleScores) find(ctx context.Context, s *store.Store) error {
	runs, err := s.Runs(ctx, store.RunFilter{Pipeline: o.Pipeline})
	if err != nil {
		return err
	}
	ids := make([]string, len(runs))
	for i, r := range runs {
		ids[i] = r.ID
	}
	tasks, err := s.TaskRuns(ctx, ids...)
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
			o.runs = append(o.runs, t.RunID)
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

// describe tells which versions the outdated rows are of: "26 by version 1, 3 by none".
func (o staleScores) describe() string {
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

// tellOutdated says, after the champion or an alias has moved, what other versions have scored.
func (a *app) tellOutdated(ctx context.Context, p *project.Project, s *store.Store, r *registry.Registry, name string, ref model.Reference) error {
	if p == nil {
		a.Printf("The project has mistakes, so that it is not known what other versions have scored: see damson validate.\n")
		return nil
	}
	all, err := outdatedScores(ctx, p, s, r, name, ref)
	for _, o := range all {
		a.Printf("%s of %s in %s: not scored by version %d (%s).\n", console.Plural(len(o.runs), "run"), o.Task, o.Pipeline, o.Version, o.describe())
	}
	if len(all) > 0 {
		if ref.Alias != "" {
			name += "@" + ref.Alias
		}
		a.Printf("Score them again: damson model rescore %s\n", name)
	}
	return err
}

func (a *app) modelRescoreCommand() *cobra.Command {
	var o runcmd.ChangeOptions
	var list, asJSON bool
	cmd := &cobra.Command{
		Use:   "rescore MODEL",
		Short: "score again what the champion, or an alias, has not scored",
		Long: `Finds the runs of the model's score tasks whose rows are of another version than the champion, or that were skipped
because there was none, shows them, asks, and clears them: a running server scores them at once, else the next backfill does.
MODEL@ALIAS means the tasks that score by this alias. With --list it only shows them.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			asked, err := versionArgument(args)
			if err != nil {
				return err
			}
			if asked.ref.Number > 0 {
				return console.Usage("Not an alias", fmt.Sprintf("rescore brings rows to the champion's version, or an alias's, and %q is a number.", args[0]), "Write damson model rescore "+asked.model+", or MODEL@ALIAS.")
			}
			if err := a.CheckDates(o.From, o.To); err != nil {
				return err
			}
			var all []staleScores
			tasks := 0
			err = a.WithStore(cmd.Context(), func(p *project.Project, s *store.Store) error {
				r := registry.New(s, a.Clock)
				if _, err := asked.show(cmd.Context(), r); err != nil { // an unknown model, or one without that version
					return err
				}
				tasks = scoreTasks(p, asked.model, asked.ref)
				all, err = outdatedScores(cmd.Context(), p, s, r, asked.model, asked.ref)
				return err
			})
			switch {
			case err != nil:
				return err
			case asJSON:
				return a.PrintJSON(console.EmptyNotNull(all))
			case tasks == 0:
				a.Printf("No score task of this project scores by the %s of %s.\n", asked.ref, asked.model)
				return nil
			case len(all) == 0:
				a.Printf("All rows of %s are the %s's.\n", asked.model, asked.ref)
				return nil
			case list:
				a.printOutdated(all)
				return nil
			}
			for _, one := range all {
				o.Tasks = []string{one.Task}
				if err := runcmd.Change(cmd.Context(), a.App, one.Pipeline, o, "clear", one.clear(cmd.Context(), a)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.From, "from", "", "first `date`")
	f.StringVar(&o.To, "to", "", "last `date`")
	f.BoolVarP(&o.Yes, "yes", "y", false, "do not ask")
	f.BoolVar(&o.Downstream, "downstream", false, "and the tasks after them")
	f.BoolVar(&o.SameCode, "same-version", false, "with a running server: the runs keep the version of the project they ran")
	f.BoolVar(&list, "list", false, "only show them")
	console.JSONFlag(cmd, &asJSON)
	return cmd
}

// clear gives the changes that clear those of the selected runs that are outdated.
func (o staleScores) clear(ctx context.Context, a *app) func(*store.Store, *pipeline.Pipeline, engine.Selection) ([]run.Change, error) {
	return func(s *store.Store, pl *pipeline.Pipeline, sel engine.Selection) ([]run.Change, error) {
		sel.RunIDs = slices.DeleteFunc(sel.RunIDs, func(id string) bool { return !slices.Contains(o.runs, id) })
		if len(sel.RunIDs) == 0 {
			return nil, nil
		}
		return engine.Clear(ctx, s, pl, sel, a.Clock.Now())
	}
}

func (a *app) printOutdated(all []staleScores) {
	g := console.NewGrid("pipeline", "task", "into", ">runs", "scored by")
	for _, o := range all {
		g.Add(o.Pipeline, o.Task, o.Into, fmt.Sprint(len(o.runs)), o.describe())
	}
	g.Print(a.App)
}
