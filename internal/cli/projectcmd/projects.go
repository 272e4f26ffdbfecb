package projectcmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"damson/examples"
	"damson/internal/cli/console"
	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/project"
	"damson/internal/run"
	"damson/internal/store"
	"damson/internal/warehouse"
)

func (a *app) validateCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "check the whole project and list every finding",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, findings, err := a.LoadProject()
			if err != nil {
				return err
			}
			if asJSON {
				err = a.PrintJSON(console.EmptyNotNull(findings))
			} else {
				a.printFindings(p, findings)
			}
			if findings.HasErrors() {
				return errors.Join(err, console.ErrSilent)
			}
			return err
		},
	}
	console.JSONFlag(cmd, &asJSON)
	return cmd
}

func (a *app) printFindings(p *project.Project, findings diag.Findings) {
	wrong, doubtful := 0, 0
	for _, f := range findings {
		a.Printf("%s\n", p.Redact(f.Error()))
		if f.IsError() {
			wrong++
		} else {
			doubtful++
		}
	}
	n := 0
	for _, pl := range p.Pipelines {
		n += len(pl.Tasks)
	}
	name := p.Name
	if name == "" { // damson.yaml could not be read so far
		name = console.Inside(p.Dir)
	}
	summary := fmt.Sprintf("%s: %s, %s, %s", name, console.Plural(len(p.Pipelines), "pipeline"), console.Plural(n, "task"), console.Plural(len(p.Models), "model"))
	switch {
	case wrong > 0:
		a.Printf("%s: %s, %s\n", summary, a.Style(console.StyleBad, console.Plural(wrong, "error")), console.Plural(doubtful, "warning"))
	case doubtful > 0:
		a.Printf("%s: %s\n", summary, console.Plural(doubtful, "warning"))
	default:
		a.Printf("%s: %s\n", summary, a.Style(console.StyleGood, "no findings"))
	}
}

func (a *app) renderCommand() *cobra.Command {
	var date string
	var params []string
	cmd := &cobra.Command{
		Use:   "render PIPELINE.TASK",
		Short: "print a task's SQL as it would run for a date",
		Long: `Prints what the task would run, without running it. For a train task it also asks the warehouse how many rows there are, and says
whether they would be read or the model trained in the database, and about what either takes.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, task, ok := strings.Cut(args[0], ".")
			if !ok {
				return console.Usage("Unreadable task", fmt.Sprintf("%q names no task.", args[0]), "Write PIPELINE.TASK, for example geolife.clean_daily_trajectory.")
			}
			return a.WithStore(cmd.Context(), func(p *project.Project, s *store.Store) error {
				pl, err := console.ChoosePipeline(p, name, []string{task})
				if err != nil {
					return err
				}
				interval, err := a.IntervalOf(pl, date, "render "+args[0])
				if err != nil {
					return err
				}
				values, err := console.ParseParams(pl, params)
				if err != nil {
					return err
				}
				r := run.Run{ID: run.NewID(pl.Name, interval.Start), Pipeline: pl.Name, Trigger: "manual", Start: interval.Start, End: interval.End, Params: values}
				text, err := a.Shop(p, s, nil).Preview(cmd.Context(), pl, pl.Task(task), r)
				if err != nil {
					return err
				}
				if pl.Task(task).Kind == pipeline.TrainTask {
					text = a.forecast(cmd.Context(), p, s, pl, pl.Task(task), r) + text
				}
				a.Printf("%s\n", strings.TrimRight(p.Redact(text), "\n"))
				return nil
			})
		},
		ValidArgsFunction: a.completeTasks,
	}
	cmd.Flags().StringVar(&date, "date", "", "the `date` whose data interval is rendered")
	cmd.Flags().StringArrayVar(&params, "param", nil, "a parameter of the pipeline as `key=value`")
	a.CompleteFlags(cmd)
	return cmd
}

// forecast says how a train task would train. Where the warehouse cannot be asked it says why: the task's SQL is wanted all the same.
func (a *app) forecast(ctx context.Context, p *project.Project, s *store.Store, pl *pipeline.Pipeline, t *pipeline.Task, r run.Run) (text string) {
	if path := console.EmbeddedPath(p); p.Environment.Embedded() && path != "" {
		if _, err := os.Stat(path); err != nil {
			return "-- how it will be trained is not known before there is a warehouse\n"
		}
	}
	err := a.WithWarehouse(ctx, p, "render a train task", func(w *warehouse.Warehouse) (err error) {
		text, err = a.Shop(p, s, w).Forecast(ctx, pl, t, r)
		return err
	})
	if err != nil {
		text = "-- how it will be trained is not known: " + strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "\n-- ") + "\n"
	}
	return text
}

// completeTasks offers PIPELINE.TASK to the shell.
func (a *app) completeTasks(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.CompleteFirst(args, func(pl *pipeline.Pipeline) []string {
		var names []string
		for _, t := range pl.TaskNames() {
			names = append(names, pl.Name+"."+t)
		}
		return names
	})
}

func (a *app) initCommand() *cobra.Command {
	example := "empty"
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "make a new project",
		Example: `  damson init sales
  damson init geolife --example geolife`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			files, err := exampleFiles(example)
			if err != nil {
				return err
			}
			if err := project.Init(args[0], files); err != nil {
				return err
			}
			a.Printf("Made %s. Next:\n  cd %s\n  damson validate\n", args[0], args[0])
			return nil
		},
	}
	cmd.Flags().StringVar(&example, "example", example, "start from this `project`: empty or geolife")
	_ = cmd.RegisterFlagCompletionFunc("example", cobra.FixedCompletions([]string{"empty", "geolife"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// exampleFiles gives the files of a project that ships with damson.
func exampleFiles(name string) (fs.FS, error) {
	switch name {
	case "empty":
		return project.Empty(), nil
	case "geolife":
		return examples.GeoLife(), nil
	}
	return nil, console.Usage("Unknown example", fmt.Sprintf("There is no example %q; there are empty and geolife.", name),
		diag.DidYouMean(name, []string{"empty", "geolife"}))
}
