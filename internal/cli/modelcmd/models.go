package modelcmd

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"damson/internal/cli/console"
	"damson/internal/metric"
	"damson/internal/model"
	"damson/internal/project"
	"damson/internal/registry"
	"damson/internal/store"
)

func (a *app) modelCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "model", Short: "list, show, decide on and apply versions of models", Args: cobra.ArbitraryArgs, RunE: console.UnknownCommand,
		Long: `List, show, decide on and apply versions of models. A VERSION is a number, "champion", or an alias; MODEL@VERSION means the same
as MODEL VERSION.`,
	}
	cmd.AddCommand(a.modelListCommand(), a.modelShowCommand(), a.modelCompareCommand(), a.modelApproveCommand(), a.modelRejectCommand(),
		a.modelRollbackCommand(), a.modelAliasCommand(), a.modelRescoreCommand(), a.modelExportCommand(), a.modelPredictCommand())
	return cmd
}

// withRegistry opens the project's registry for reading.
func (a *app) withRegistry(ctx context.Context, f func(r *registry.Registry) error) error {
	return a.withModels(ctx, func(_ *project.Project, s *store.Store) error { return f(registry.New(s, a.Clock)) })
}

// withModels opens the store around f. The project is nil when it has mistakes.
func (a *app) withModels(ctx context.Context, f func(p *project.Project, s *store.Store) error) error {
	return a.WithRecords(ctx, func(r console.Records) error {
		if r.Mistakes {
			return f(nil, r.Store)
		}
		return f(r.Project, r.Store)
	})
}

func (a *app) modelListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list [MODEL]",
		Short: "list versions, newest first",
		Args:  cobra.MaximumNArgs(1), ValidArgsFunction: a.completeModel(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withRegistry(cmd.Context(), func(r *registry.Registry) error {
				versions, err := r.List(cmd.Context(), strings.Join(args, ""))
				if err != nil {
					return err
				}
				if asJSON {
					for i := range versions {
						versions[i].Reference, versions[i].Levels, versions[i].Search = nil, nil, nil // which `model show --json` has
					}
					return a.PrintJSON(console.EmptyNotNull(versions))
				}
				return a.printVersions(versions)
			})
		},
	}
	console.JSONFlag(cmd, &asJSON)
	return cmd
}

func (a *app) printVersions(versions []model.Version) error {
	if len(versions) == 0 {
		a.Printf("No model has been trained yet.\n")
		return nil
	}
	g := console.NewGrid("model", ">version", "state", "trained", ">rows", "held-out rows", "why").Sentences()
	for _, v := range versions {
		report, err := ReadReport(v)
		if err != nil {
			return err
		}
		g.Add(v.Model, strconv.Itoa(v.Number), a.State(string(v.State))+named(v), v.Created.Format("2006-01-02 15:04"), console.Count(v.Rows), figures(report), decided(v))
	}
	g.Print(a.App)
	return nil
}

// ReadReport reads how a version was judged.
func ReadReport(v model.Version) (metric.Report, error) {
	var r metric.Report
	if err := json.Unmarshal(v.Report, &r); err != nil {
		return r, fmt.Errorf("read the report of version %d of model %s: %w", v.Number, v.Model, err)
	}
	return r, nil
}

// listedMetrics are those of each kind by which versions are told apart at a glance.
var listedMetrics = map[metric.Kind][]string{
	metric.Binary: {"auc", "accuracy"}, metric.Multiclass: {"accuracy", "macro_f1"}, metric.Regression: {"rmse", "r2"}, metric.Clustering: {"silhouette", "inertia"},
}

// figures gives a version's most telling metrics in a few words.
func figures(r metric.Report) string {
	var parts []string
	for _, name := range listedMetrics[KindOf(r)] {
		parts = append(parts, name+" "+metricText(r.Metrics, name))
	}
	return strings.Join(parts, ", ")
}

func metricText(metrics map[string]float64, name string) string {
	v, ok := metrics[name]
	if !ok {
		return "–"
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

func (a *app) modelShowCommand() *cobra.Command {
	var asJSON, trials bool
	var picture, out string
	cmd := &cobra.Command{
		Use:   "show MODEL [VERSION]",
		Short: "show one version: how it was made and judged (default: the champion)",
		Example: `  damson model show walk 3
  damson model show walk@challenger`,
		Args: cobra.RangeArgs(1, 2), ValidArgsFunction: a.completeVersions(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			asked, err := versionArgument(args)
			if err != nil {
				return err
			}
			return a.withRegistry(cmd.Context(), func(r *registry.Registry) error {
				v, err := asked.show(cmd.Context(), r)
				if err != nil {
					return err
				}
				switch {
				case picture == "" && out != "":
					return console.Usage("--out without --plot", "--out names the file of a picture, and no --plot asks for one.", "Write --plot roc --out walk.png.")
				case picture != "" && asJSON:
					return console.Usage("--plot and --json do not go together", "A picture is not JSON.", "Leave one of them away.")
				case picture != "":
					return a.drawVersion(*v, picture, out)
				case asJSON:
					return a.PrintJSON(v)
				}
				return a.printVersion(*v, trials)
			})
		},
	}
	console.JSONFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&trials, "trials", false, "all trials of its search for parameters, not only the best")
	cmd.Flags().StringVar(&picture, "plot", "", "draw a picture: `kind`, one of "+strings.Join(figureKinds, ", "))
	cmd.Flags().StringVar(&out, "out", "", "`file` of the picture, ending with .png or .svg (default: MODEL-KIND.svg)")
	_ = cmd.RegisterFlagCompletionFunc("plot", cobra.FixedCompletions(figureKinds, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) printVersion(v model.Version, allTrials bool) error {
	report, err := ReadReport(v)
	if err != nil {
		return err
	}
	a.Printf("%s version %d: %s%s (%s)\n", a.Style(console.StyleHead, v.Model), v.Number, a.State(string(v.State)), named(v), decided(v))
	a.Printf("  %s, trained %s on %s rows, %d features, by %s\n", v.Algorithm, v.Created.Format("2006-01-02 15:04"), console.Count(v.Rows), len(v.Features), v.Why)
	if what := predicts(v); what != "" {
		a.Printf("  predicts %s\n", what)
	}
	a.Printf("  artifact %.12s, data %.12s, sql %.12s\n", v.Hash, v.Data, v.SQL)
	if err := a.printTrials(v, allTrials); err != nil {
		return err
	}
	for _, g := range v.Gates {
		verdict := a.Style(console.StyleGood, "passed")
		if !g.Passed {
			verdict = a.Style(console.StyleBad, "failed")
		}
		a.Printf("  gate %s: %s (%s)\n", g.Expr, verdict, g.Detail)
	}
	a.printJudgement(report)
	return nil
}

// decided says why a version is in its state, or at least by whom.
func decided(v model.Version) string {
	return cmp.Or(v.DecidedWhy, "decided by "+v.DecidedBy)
}

// predicts says what a version predicts; "" when it is whether something is 1.
func predicts(v model.Version) string {
	const most = 12
	switch {
	case v.Kind == string(metric.Clustering):
		return "the nearest of its clusters"
	case v.Kind == string(metric.Regression):
		return "a number"
	case len(v.Classes) == 2:
		return fmt.Sprintf("%q or %q; probabilities are those of %q", v.Classes[0], v.Classes[1], v.Classes[1])
	case len(v.Classes) > most:
		return fmt.Sprintf("one of %d classes: %s, …", len(v.Classes), strings.Join(v.Classes[:most], ", "))
	case len(v.Classes) > 0:
		return fmt.Sprintf("one of %d classes: %s", len(v.Classes), strings.Join(v.Classes, ", "))
	}
	return ""
}

// decide is a command that moves a version by a person's word.
func (a *app) decide(use, short string, needVersion bool, move func(ctx context.Context, r *registry.Registry, name string, number int, d registry.Decision) (*model.Version, error), flags func(*cobra.Command, *registry.Decision)) *cobra.Command {
	var d registry.Decision
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.RangeArgs(1, 2), ValidArgsFunction: a.completeVersions(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			asked, err := versionArgument(args)
			if err != nil {
				return err
			}
			if needVersion && !asked.given {
				return console.Usage("No version", fmt.Sprintf("%s needs to know which version of %s.", cmd.CommandPath(), asked.model), "Write MODEL VERSION, or MODEL@VERSION.")
			}
			return a.withModels(cmd.Context(), func(p *project.Project, s *store.Store) error {
				if d.By == "" {
					d.By = console.Whoami()
				}
				r := registry.New(s, a.Clock)
				number, err := r.Resolve(cmd.Context(), asked.model, asked.ref)
				if err != nil {
					return err
				}
				v, err := move(cmd.Context(), r, asked.model, number, d)
				if err != nil {
					return err
				}
				a.Printf("%s version %d is %s, decided by %s.\n", v.Model, v.Number, a.State(string(v.State)), v.DecidedBy)
				if v.State != model.Champion {
					return nil
				}
				return a.tellOutdated(cmd.Context(), p, s, r, v.Model, model.Reference{})
			})
		},
	}
	decisionFlags(cmd, &d)
	if flags != nil {
		flags(cmd, &d)
	}
	return cmd
}

func decisionFlags(cmd *cobra.Command, d *registry.Decision) {
	cmd.Flags().StringVar(&d.By, "by", "", "`who` decides (default: the user of the operating system)")
	cmd.Flags().StringVar(&d.Why, "comment", "", "`why`")
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
