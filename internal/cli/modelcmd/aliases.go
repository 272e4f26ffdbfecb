package modelcmd

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"damson/internal/cli/console"
	"damson/internal/diag"
	"damson/internal/model"
	"damson/internal/project"
	"damson/internal/registry"
	"damson/internal/store"
)

// askedVersion is what the arguments MODEL [VERSION] or MODEL@VERSION name.
type askedVersion struct {
	model string
	ref   model.Reference
	given bool // a version was named; else it is the champion
}

func versionArgument(args []string) (askedVersion, error) {
	name, refs, err := versionsArgument(args)
	switch {
	case err != nil:
		return askedVersion{}, err
	case len(refs) > 1:
		return askedVersion{}, console.Usage("Two versions", fmt.Sprintf("%s names a version, and another one follows.", args[0]), "Write "+name+"@"+refs[0].String()+" alone.")
	case len(refs) == 1:
		return askedVersion{name, refs[0], true}, nil
	}
	return askedVersion{model: name}, nil
}

// versionsArgument reads a model and the versions that follow its name.
func versionsArgument(args []string) (name string, refs []model.Reference, err error) {
	name, at, has := strings.Cut(args[0], "@")
	texts := args[1:]
	if has {
		texts = append([]string{at}, texts...)
	}
	for _, text := range texts {
		if text == "" {
			return "", nil, console.Usage("Unreadable version", fmt.Sprintf("%q names no version.", args[0]), "Write a number, an alias, or champion.")
		}
		ref, err := readReference(text)
		if err != nil {
			return "", nil, err
		}
		refs = append(refs, ref)
	}
	return name, refs, nil
}

// readReference reads a version; what is none is wrong usage.
func readReference(text string) (model.Reference, error) {
	ref, err := model.ParseReference(text)
	if err != nil {
		f := diag.AsFinding("Unreadable version", err)
		return ref, console.Usage(f.Summary, f.Detail, f.Fix)
	}
	return ref, nil
}

// show reads the version.
func (v askedVersion) show(ctx context.Context, r *registry.Registry) (*model.Version, error) {
	number, err := r.Resolve(ctx, v.model, v.ref)
	if err != nil {
		return nil, err
	}
	return r.Show(ctx, v.model, number)
}

// named gives a version's aliases as they follow its state.
func named(v model.Version) string {
	text := ""
	for _, alias := range v.Aliases {
		text += " @" + alias
	}
	return text
}

func (a *app) modelAliasCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "alias", Short: "name versions: challenger, shadow, …", Args: cobra.ArbitraryArgs, RunE: console.UnknownCommand,
		Long: `An alias names one version of a model, beside the champion. It stands wherever a version's number does (damson model show
walk@challenger), and score tasks may score by it (version = "challenger"). Who moved it, when and why is kept. A rejected version
has no alias, and a version that has one is not rejected.`,
	}
	cmd.AddCommand(a.aliasListCommand(), a.aliasSetCommand(), a.aliasRemoveCommand())
	return cmd
}

func (a *app) aliasListCommand() *cobra.Command {
	var asJSON, history bool
	cmd := &cobra.Command{
		Use:   "list [MODEL]",
		Short: "list aliases",
		Args:  cobra.MaximumNArgs(1), ValidArgsFunction: a.completeModel(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withRegistry(cmd.Context(), func(r *registry.Registry) error {
				all, err := r.Aliases(cmd.Context(), strings.Join(args, ""), history)
				if history {
					slices.Reverse(all)
				}
				switch {
				case err != nil:
					return err
				case asJSON:
					return a.PrintJSON(console.EmptyNotNull(all))
				case len(all) == 0:
					a.Printf("No version has an alias.\n")
					return nil
				}
				a.printAliases(all)
				return nil
			})
		},
	}
	console.JSONFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&history, "history", false, "every move, newest first, and not only where they stand")
	return cmd
}

func (a *app) printAliases(all []model.Alias) {
	g := console.NewGrid("model", "alias", ">version", "set", "by", "why").Sentences()
	for _, one := range all {
		number := "removed"
		if one.Number > 0 {
			number = strconv.Itoa(one.Number)
		}
		g.Add(one.Model, one.Name, number, one.At.Format("2006-01-02 15:04"), one.By, one.Why)
	}
	g.Print(a.App)
}

func (a *app) aliasSetCommand() *cobra.Command {
	var d registry.Decision
	cmd := &cobra.Command{
		Use:   "set MODEL ALIAS VERSION",
		Short: "give an alias to a version",
		Example: `  damson model alias set walk challenger 4
  damson model alias set walk last-good champion --comment "before the new sensors"`,
		Args: cobra.ExactArgs(3), ValidArgsFunction: a.completeAlias(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := readReference(args[2])
			if err != nil {
				return err
			}
			name, alias := args[0], args[1]
			return a.moveAlias(cmd.Context(), &d, func(p *project.Project, s *store.Store, r *registry.Registry) error {
				v, err := askedVersion{model: name, ref: ref}.show(cmd.Context(), r)
				if err != nil {
					return err
				}
				before, err := r.SetAlias(cmd.Context(), name, alias, v.Number, d)
				if err != nil {
					return err
				}
				switch before {
				case v.Number:
					a.Printf("%s was version %d of %s already.\n", alias, v.Number, name)
				case 0:
					a.Printf("%s is version %d of %s, set by %s.\n", alias, v.Number, name, d.By)
				default:
					a.Printf("%s is version %d of %s, and was %d, set by %s.\n", alias, v.Number, name, before, d.By)
				}
				return a.tellOutdated(cmd.Context(), p, s, r, name, model.Reference{Alias: alias})
			})
		},
	}
	decisionFlags(cmd, &d)
	return cmd
}

func (a *app) aliasRemoveCommand() *cobra.Command {
	var d registry.Decision
	cmd := &cobra.Command{
		Use:   "remove MODEL ALIAS",
		Short: "take an alias away; tasks that score by it are then skipped",
		Args:  cobra.ExactArgs(2), ValidArgsFunction: a.completeAlias(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.moveAlias(cmd.Context(), &d, func(_ *project.Project, _ *store.Store, r *registry.Registry) error {
				before, err := r.RemoveAlias(cmd.Context(), args[0], args[1], d)
				if err == nil {
					a.Printf("%s, which was version %d of %s, is removed by %s.\n", args[1], before, args[0], d.By)
				}
				return err
			})
		},
	}
	decisionFlags(cmd, &d)
	return cmd
}

// moveAlias opens what moving an alias needs, and finds out who decides.
func (a *app) moveAlias(ctx context.Context, d *registry.Decision, move func(*project.Project, *store.Store, *registry.Registry) error) error {
	return a.withModels(ctx, func(p *project.Project, s *store.Store) error {
		if d.By == "" {
			d.By = console.Whoami()
		}
		return move(p, s, registry.New(s, a.Clock))
	})
}
