package migratecmd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"damson/internal/cli/console"
	"damson/internal/diag"
	"damson/internal/migrate"
	"damson/internal/migrate/history"
	"damson/internal/project"
)

func (a *app) migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "apply and check the versioned changes of the warehouse's schema",
		Long: `Migrations are files migrations/V001__what_it_does.sql, applied once and in the order of their numbers. The warehouse
remembers them in damson.migrations.`,
		Args: cobra.ArbitraryArgs,
		RunE: console.UnknownCommand,
	}
	cmd.AddCommand(a.migrateUpCommand(), a.migrateStatusCommand(), a.migrateCheckCommand(), a.migrateBaselineCommand(), a.migrateMarkCommand())
	return cmd
}

// upOptions are the flags of migrate up.
type upOptions struct {
	to         string
	outOfOrder bool
	dryRun     bool
	json       bool
}

func (a *app) migrateUpCommand() *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:   "up",
		Short: "apply the pending migrations, in order",
		Long: `Applies each pending migration in a transaction of its own. When one fails, nothing of it stays, and those before it do.
It refuses to begin while an applied migration has changed or lost its file, or stands half-way.`,
		Example: `  damson migrate up
  damson migrate up --dry-run
  damson migrate up --to V005`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.OpenProject()
			if err != nil {
				return err
			}
			goal := history.Goal{To: -1, OutOfOrder: o.outOfOrder}
			if o.to != "" {
				m, err := chooseMigration(p, o.to)
				if err != nil {
					return err
				}
				goal.To = m.Version
			}
			if o.dryRun && o.json {
				return console.Usage("--dry-run and --json do not go together", "A dry run prints SQL.", "List what is pending with `damson migrate status --json`.")
			}
			if o.dryRun {
				return a.showPending(cmd.Context(), p, goal)
			}
			return a.migrateUp(cmd.Context(), p, goal, o.json)
		},
	}
	cmd.Flags().StringVar(&o.to, "to", "", "the last `migration` to apply, for example V005")
	cmd.Flags().BoolVar(&o.outOfOrder, "out-of-order", false, "also those with a lower number than one that is applied")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "print the SQL instead of running it")
	console.JSONFlag(cmd, &o.json)
	_ = cmd.RegisterFlagCompletionFunc("to", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return a.migrationLabels(), cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

func (a *app) migrateUp(ctx context.Context, p *project.Project, goal history.Goal, asJSON bool) error {
	views := []migrationView{}
	tell := func(r migrate.Row) {
		if views = append(views, viewOf(migrate.Entry{Version: r.Version, Name: r.Name, File: r.File, State: migrate.Applied, Row: &r})); !asJSON {
			a.Printf("%s: %s, %s, %s\n", r.File, a.Style(console.StyleGood, "applied"), console.Plural(r.Statements, "statement"), console.Seconds(r.Took))
		}
	}
	err := a.withHistory(ctx, p, "migrate up", tell, func(h *history.History) error {
		_, err := h.Up(ctx, p.Migrations, goal)
		return err
	})
	switch {
	case asJSON:
		return errors.Join(err, a.PrintJSON(views))
	case err != nil:
	case len(views) == 0:
		a.Printf("%s: no migration to apply\n", a.Style(console.StyleHead, p.Name))
	default:
		a.Printf("%s: %s applied\n", a.Style(console.StyleHead, p.Name), console.Plural(len(views), "migration"))
	}
	return err
}

// showPending prints the SQL of what migrate up would apply.
func (a *app) showPending(ctx context.Context, p *project.Project, goal history.Goal) error {
	entries, err := a.migrationPlan(ctx, p, "migrate up --dry-run")
	if err == nil {
		err = migrate.Refusals(entries, goal.OutOfOrder).Err()
	}
	if err != nil {
		return err
	}
	ahead := migrate.Ahead(entries, goal.To)
	for _, e := range ahead {
		text, err := p.RenderMigration(*e.Variant)
		if err != nil {
			return err
		}
		a.Printf("-- %s\n%s\n\n", e.File, strings.TrimSpace(p.Redact(text.SQL())))
	}
	a.Printf("-- %s would be applied.\n", console.Plural(len(ahead), "migration"))
	return nil
}

func (a *app) migrateStatusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "list the migrations of the project and of the warehouse",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.OpenProject()
			if err != nil {
				return err
			}
			entries, err := a.migrationPlan(cmd.Context(), p, "migrate status")
			if err != nil {
				return err
			}
			if asJSON {
				views := []migrationView{}
				for _, e := range entries {
					views = append(views, viewOf(e))
				}
				return a.PrintJSON(views)
			}
			a.printMigrations(entries)
			return nil
		},
	}
	console.JSONFlag(cmd, &asJSON)
	return cmd
}

func (a *app) migrateCheckCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "fail unless the warehouse has exactly the project's migrations",
		Long:  `Writes nothing. Exit code 1, and a finding for each migration that is pending, changed, missing, out of order or half-way.`,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.OpenProject()
			if err != nil {
				return err
			}
			entries, err := a.migrationPlan(cmd.Context(), p, "migrate check")
			if err != nil {
				return err
			}
			findings := migrate.Check(entries)
			if asJSON {
				err = a.PrintJSON(console.EmptyNotNull(findings))
			} else {
				a.printMigrationCheck(p, entries, findings)
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

func (a *app) migrateBaselineCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "baseline MIGRATION",
		Short: "let the history of an existing database begin after a migration, without running any",
		Long: `Records the migrations up to and including MIGRATION as there already. For a database that had its tables before it had
migrations; one with a history is refused.`,
		Example: `  damson migrate baseline V003`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.OpenProject()
			if err != nil {
				return err
			}
			m, err := chooseMigration(p, args[0])
			if err != nil {
				return err
			}
			return a.withHistory(cmd.Context(), p, "migrate baseline", nil, func(h *history.History) error {
				recorded, err := h.Baseline(cmd.Context(), p.Migrations, m.Version)
				if err != nil {
					return err
				}
				a.Printf("%s: the history begins after %s; %s will not run here.\n", a.Style(console.StyleHead, p.Name), m, console.Plural(len(recorded), "migration"))
				return nil
			})
		},
		ValidArgsFunction: a.completeMigrations,
	}
}

func (a *app) migrateMarkCommand() *cobra.Command {
	states := []string{string(migrate.Applied), string(migrate.Pending)}
	return &cobra.Command{
		Use:   "mark MIGRATION applied|pending",
		Short: "say what holds of a migration that stands half-way",
		Long: `Only for a migration with the directive ` + "`transaction = none`" + ` that has not ended. "applied": all of it is in the database, because
somebody has completed it by hand; its file as it is now counts. "pending": migrate up is to run all of it again.`,
		Example: `  damson migrate mark V007 pending`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[1] != states[0] && args[1] != states[1] {
				return console.Usage("Unknown state", fmt.Sprintf("%q is none of %s.", args[1], strings.Join(states, ", ")), diag.DidYouMean(args[1], states))
			}
			p, err := a.OpenProject()
			if err != nil {
				return err
			}
			version, err := migrationNumber(args[0])
			if err != nil {
				return err
			}
			return a.withHistory(cmd.Context(), p, "migrate mark", nil, func(h *history.History) error {
				if err := h.Mark(cmd.Context(), p.Migrations, version, args[1] == string(migrate.Applied)); err != nil {
					return err
				}
				a.Printf("%s is %s now.\n", args[0], args[1])
				return nil
			})
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return states, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeMigrations(cmd, args, word)
		},
	}
}

// completeMigrations offers the project's migrations as the first argument.
func (a *app) completeMigrations(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.migrationLabels(), cobra.ShellCompDirectiveNoFileComp
}

func (a *app) migrationLabels() []string {
	p, _, err := a.LoadProject()
	if err != nil {
		return nil
	}
	return labels(p)
}

func labels(p *project.Project) []string {
	all := make([]string, len(p.Migrations))
	for i, m := range p.Migrations {
		all[i] = m.Label
	}
	return all
}

// migrationNumber reads how people name a migration: V005, v5, 5 or V005__add_speed.
func migrationNumber(text string) (int64, error) {
	label, _, _ := strings.Cut(text, "__")
	n, err := strconv.ParseInt(strings.TrimLeft(label, "vV"), 10, 64)
	if err != nil || n < 0 {
		return 0, console.Usage("Unreadable migration", fmt.Sprintf("%q is no number of a migration.", text), "Write it as in its file's name, for example V005.")
	}
	return n, nil
}

// chooseMigration finds a migration of the project.
func chooseMigration(p *project.Project, text string) (migrate.Migration, error) {
	n, err := migrationNumber(text)
	if err != nil {
		return migrate.Migration{}, err
	}
	for _, m := range p.Migrations {
		if m.Version == n {
			return m, nil
		}
	}
	if len(p.Migrations) == 0 {
		return migrate.Migration{}, console.Usage("Unknown migration", "This project has no migrations.", "Write the first one: "+migrate.Folder+"/V001__what_it_does.sql")
	}
	return migrate.Migration{}, console.Usage("Unknown migration", fmt.Sprintf("There is no %s; there are %s.", text, strings.Join(labels(p), ", ")),
		diag.DidYouMean(text, labels(p)))
}
