package modelcmd

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"damson/internal/cli/console"
	"damson/internal/cli/runcmd"
	"damson/internal/engine"
	"damson/internal/model"
	"damson/internal/pipeline"
	"damson/internal/project"
	"damson/internal/registry"
	"damson/internal/run"
	"damson/internal/stale"
	"damson/internal/store"
)

// outdatedScores finds what a model's champion, or the version that an alias names, has not scored and should have. Without that
// version nothing is outdated.
func outdatedScores(ctx context.Context, p *project.Project, s *store.Store, r *registry.Registry, name string, ref model.Reference) ([]stale.Scores, error) {
	v, err := r.Scoring(ctx, name, ref)
	if err != nil || v == nil {
		return nil, err
	}
	return stale.Find(ctx, s, p.Pipelines, name, ref, v.Number)
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

// tellOutdated says, after the champion or an alias has moved, what other versions have scored.
func (a *app) tellOutdated(ctx context.Context, p *project.Project, s *store.Store, r *registry.Registry, name string, ref model.Reference) error {
	if p == nil {
		a.Printf("The project has mistakes, so that it is not known what other versions have scored: see damson validate.\n")
		return nil
	}
	all, err := outdatedScores(ctx, p, s, r, name, ref)
	for _, o := range all {
		a.Printf("%s.\n", o)
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
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeModel(),
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
			var all []stale.Scores
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
				if err := runcmd.Change(cmd.Context(), a.App, one.Pipeline, o, "clear", clearing(cmd.Context(), a, one)); err != nil {
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
	a.CompleteFlags(cmd)
	return cmd
}

// clearing gives the changes that clear those of the selected runs that are outdated.
func clearing(ctx context.Context, a *app, o stale.Scores) func(*store.Store, *pipeline.Pipeline, engine.Selection) ([]run.Change, error) {
	return func(s *store.Store, pl *pipeline.Pipeline, sel engine.Selection) ([]run.Change, error) {
		sel.RunIDs = slices.DeleteFunc(sel.RunIDs, func(id string) bool { return !slices.Contains(o.Runs, id) })
		if len(sel.RunIDs) == 0 {
			return nil, nil
		}
		return engine.Clear(ctx, s, pl, sel, a.Clock.Now())
	}
}

func (a *app) printOutdated(all []stale.Scores) {
	g := console.NewGrid("pipeline", "task", "into", ">runs", "scored by").Sentences()
	for _, o := range all {
		g.Add(o.Pipeline, o.Task, o.Into, fmt.Sprint(len(o.Runs)), o.Describe())
	}
	g.Print(a.App)
}
