package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os/user"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"damson/internal/metric"
	"damson/internal/model"
	"damson/internal/project"
	"damson/internal/registry"
	"damson/internal/store"
)

func (a *app) modelCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "model", Short: "list, show and decide on versions of models", Args: cobra.ArbitraryArgs, RunE: unknownCommand}
	cmd.AddCommand(a.modelListCommand(), a.modelShowCommand(), a.modelApproveCommand(), a.modelRejectCommand(), a.modelRollbackCommand())
	return cmd
}

// withRegistry opens the project's registry for reading.
func (a *app) withRegistry(ctx context.Context, f func(r *registry.Registry) error) error {
	return a.withStore(ctx, func(_ *project.Project, s *store.Store) error { return f(registry.New(s, a.clock)) })
}

func (a *app) modelListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list [MODEL]",
		Short: "list versions, newest first",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withRegistry(cmd.Context(), func(r *registry.Registry) error {
				versions, err := r.List(cmd.Context(), strings.Join(args, ""))
				if err != nil {
					return err
				}
				if asJSON {
					return a.printJSON(emptyNotNull(versions))
				}
				return a.printVersions(versions)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (a *app) printVersions(versions []model.Version) error {
	if len(versions) == 0 {
		a.printf("No model has been trained yet.\n")
		return nil
	}
	g := newGrid("model", ">version", "state", "trained", ">rows", ">auc", ">accuracy", "why")
	for _, v := range versions {
		report, err := readReport(v)
		if err != nil {
			return err
		}
		g.add(v.Model, strconv.Itoa(v.Number), a.state(string(v.State)), v.Created.Format("2006-01-02 15:04"), count(v.Rows),
			metricText(report.Metrics, "auc"), metricText(report.Metrics, "accuracy"), v.DecidedWhy)
	}
	g.print(a)
	return nil
}

func readReport(v model.Version) (metric.Report, error) {
	var r metric.Report
	if err := json.Unmarshal(v.Report, &r); err != nil {
		return r, fmt.Errorf("read the report of version %d of model %s: %w", v.Number, v.Model, err)
	}
	return r, nil
}

func metricText(metrics map[string]float64, name string) string {
	v, ok := metrics[name]
	if !ok {
		return "–"
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

func (a *app) modelShowCommand() *cobra.Command {
	var asJSON bool
	var picture, out string
	cmd := &cobra.Command{
		Use:   "show MODEL [VERSION]",
		Short: "show one version: how it was made and judged (default: the champion)",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := versionArgument(args)
			if err != nil {
				return err
			}
			return a.withRegistry(cmd.Context(), func(r *registry.Registry) error {
				v, err := r.Show(cmd.Context(), args[0], number)
				if err != nil {
					return err
				}
				switch {
				case picture == "" && out != "" || picture != "" && asJSON:
					return usage("--out and --plot", "--out names the file of a picture, and a picture is not JSON.", "Write --plot roc --out walk.png, or --json alone.")
				case picture != "":
					return a.drawVersion(*v, picture, out)
				case asJSON:
					return a.printJSON(v)
				}
				return a.printVersion(*v)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.Flags().StringVar(&picture, "plot", "", "draw a picture: `kind`, one of "+strings.Join(figureKinds, ", "))
	cmd.Flags().StringVar(&out, "out", "", "`file` of the picture, ending with .png or .svg (default: MODEL-KIND.svg)")
	return cmd
}

// versionArgument reads the optional version number after the model's name; 0 means the champion.
func versionArgument(args []string) (int, error) {
	if len(args) < 2 {
		return 0, nil
	}
	n, err := strconv.Atoi(strings.TrimPrefix(args[1], "v"))
	if err != nil || n < 1 {
		return 0, usage("Unreadable version", fmt.Sprintf("%q is not a version number.", args[1]), "Write a number from `damson model list`, for example 3.")
	}
	return n, nil
}

func (a *app) printVersion(v model.Version) error {
	report, err := readReport(v)
	if err != nil {
		return err
	}
	a.printf("%s version %d: %s (%s)\n", a.style(styleHead, v.Model), v.Number, a.state(string(v.State)), v.DecidedWhy)
	a.printf("  %s, trained %s on %s rows, %d features, by %s\n", v.Algorithm, v.Created.Format("2006-01-02 15:04"), count(v.Rows), len(v.Features), v.Why)
	a.printf("  artifact %.12s, data %.12s, sql %.12s\n", v.Hash, v.Data, v.SQL)
	for _, g := range v.Gates {
		verdict := a.style(styleGood, "passed")
		if !g.Passed {
			verdict = a.style(styleBad, "failed")
		}
		a.printf("  gate %s: %s (%s)\n", g.Expr, verdict, g.Detail)
	}
	a.printJudgement(report)
	return nil
}

// decide is a command that moves a version by a person's word.
func (a *app) decide(use, short string, needVersion bool, move func(ctx context.Context, r *registry.Registry, name string, number int, d registry.Decision) (*model.Version, error), flags func(*cobra.Command, *registry.Decision)) *cobra.Command {
	var d registry.Decision
	args := cobra.RangeArgs(1, 2)
	if needVersion {
		args = cobra.ExactArgs(2)
	}
	cmd := &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := versionArgument(args)
			if err != nil {
				return err
			}
			return a.withStore(cmd.Context(), func(_ *project.Project, s *store.Store) error {
				if d.By == "" {
					d.By = whoami()
				}
				v, err := move(cmd.Context(), registry.New(s, a.clock), args[0], number, d)
				if err != nil {
					return err
				}
				a.printf("%s version %d is %s, decided by %s.\n", v.Model, v.Number, a.state(string(v.State)), v.DecidedBy)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&d.By, "by", "", "`who` decides (default: the user of the operating system)")
	cmd.Flags().StringVar(&d.Why, "comment", "", "`why`")
	if flags != nil {
		flags(cmd, &d)
	}
	return cmd
}

func (a *app) modelApproveCommand() *cobra.Command {
	return a.decide("approve MODEL VERSION", "make a candidate the champion", true,
		func(ctx context.Context, r *registry.Registry, name string, number int, d registry.Decision) (*model.Version, error) {
			return r.Approve(ctx, name, number, d)
		}, func(cmd *cobra.Command, d *registry.Decision) {
			cmd.Flags().BoolVar(&d.DespiteGates, "despite-gates", false, "also when its gates failed")
		})
}

func (a *app) modelRejectCommand() *cobra.Command {
	return a.decide("reject MODEL VERSION", "refuse a version for good", true,
		func(ctx context.Context, r *registry.Registry, name string, number int, d registry.Decision) (*model.Version, error) {
			return r.Reject(ctx, name, number, d)
		}, nil)
}

func (a *app) modelRollbackCommand() *cobra.Command {
	return a.decide("rollback MODEL [VERSION]", "make an earlier champion the champion again", false,
		func(ctx context.Context, r *registry.Registry, name string, number int, d registry.Decision) (*model.Version, error) {
			return r.Rollback(ctx, name, number, d)
		}, nil)
}

// whoami is the operating system's name of the user, "" when it has none.
func whoami() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}
