package migratecmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/cli/console"
	"damson/internal/diag"
	"damson/internal/migrate"
	"damson/internal/migrate/history"
	"damson/internal/project"
)

// migrationView is a migration as --json shows it.
type migrationView struct {
	Version    int64         `json:"version"`
	Name       string        `json:"name"`
	File       string        `json:"file"`
	State      migrate.State `json:"state"`
	AppliedAt  *time.Time    `json:"applied_at,omitempty"`
	AppliedBy  string        `json:"applied_by,omitempty"`
	Statements int           `json:"statements,omitempty"`
	Done       int           `json:"statements_done,omitempty"`
	Seconds    float64       `json:"seconds,omitempty"`
}

func viewOf(e migrate.Entry) migrationView {
	v := migrationView{Version: e.Version, Name: e.Name, File: e.File, State: e.State}
	if r := e.Row; r != nil {
		v.AppliedAt, v.AppliedBy, v.Statements, v.Done, v.Seconds = &r.At, r.By, r.Statements, r.Done, r.Took.Seconds()
	}
	return v
}

func (a *app) printMigrations(entries []migrate.Entry) {
	if len(entries) == 0 {
		a.Printf("There are no migrations: the first one would be %s/V001__what_it_does.sql\n", migrate.Folder)
		return
	}
	g := console.NewGrid("version", "name", "state", "when", "by", ">took", "file")
	wrong := false
	for _, e := range entries {
		at, by, duration := "", "", ""
		if e.Row != nil {
			at, by, duration = e.Row.At.Format("2006-01-02 15:04"), e.Row.By, console.Seconds(e.Row.Took)
		}
		if e.Row == nil || e.Row.State != migrate.RowApplied {
			duration = ""
		}
		g.Add(e.Label, e.Name, a.migrationState(e.State), at, by, duration, e.File)
		wrong = wrong || !e.State.InOrder()
	}
	g.Print(a.App)
	if wrong {
		a.Printf("damson migrate check says what to do.\n")
	}
}

func (a *app) printMigrationCheck(p *project.Project, entries []migrate.Entry, findings diag.Findings) {
	for _, f := range findings {
		a.Printf("%s\n", p.Redact(f.Error()))
	}
	verdict := a.Style(console.StyleGood, "all in order")
	if len(findings) > 0 {
		verdict = a.Style(console.StyleBad, fmt.Sprintf("%d not in order", len(findings)))
	}
	a.Printf("%s: %s, %s\n", a.Style(console.StyleHead, p.Name), console.Plural(len(entries), "migration"), verdict)
}

func (a *app) migrationState(s migrate.State) string {
	switch s {
	case migrate.Applied, migrate.Baseline:
		return a.Style(console.StyleGood, string(s))
	case migrate.Skipped:
		return a.Style(console.StyleQuiet, string(s))
	case migrate.Pending:
		return string(s)
	}
	return a.Style(console.StyleBad, string(s))
}

// withHistory opens the warehouse for changing its history around f; applied is told of each migration.
func (a *app) withHistory(ctx context.Context, p *project.Project, purpose string, applied func(migrate.Row), f func(h *history.History) error) (err error) {
	if p.Environment.Embedded() {
		unlock, err := a.lockForMigrate(p, purpose)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, unlock()) }()
	}
	w, err := a.OpenWarehouse(ctx, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	return f(history.New(w, history.Options{Kind: p.Environment.Kind(), By: console.Whoami() + "@" + console.Hostname(), Clock: a.Clock,
		Render: p.RenderMigration, Progress: a.tellStatement, Applied: applied, Waiting: a.tellWaiting}))
}

// tellWaiting says why nothing happens.
func (a *app) tellWaiting() {
	fmt.Fprintln(a.Err, "waiting for another process that changes this warehouse's migrations (it holds the row of damson.migrations_lock)")
}

// lockForMigrate takes the project's lock. Migrations do not go through a server: it would go on with tasks meanwhile.
func (a *app) lockForMigrate(p *project.Project, purpose string) (unlock func() error, err error) {
	if err := os.MkdirAll(filepath.Join(p.Dir, console.StateDir), 0o777); err != nil {
		return nil, diag.AsFinding("The project cannot be locked", err)
	}
	l, err := a.LockProject(p, purpose)
	var locked console.LockedError
	if errors.As(err, &locked) {
		locked.Fix = "Wait until it has ended. A server (`damson serve`) is ended with Ctrl-C and started again afterwards. " +
			"`damson migrate status` and `check` work while it runs."
		return nil, locked
	}
	if err != nil {
		return nil, err
	}
	return l.Unlock, nil
}

// longStatement is how long a statement of a migration takes that is told of.
const longStatement = time.Second

// tellStatement tells of the statements of a migration that take long.
func (a *app) tellStatement(e migrate.Entry, i, n int, rows int64, d time.Duration) {
	if d < longStatement || n == 1 {
		return
	}
	changed := ""
	if rows > 0 {
		changed = ", " + console.Plural(int(rows), "row")
	}
	fmt.Fprintf(a.Err, "%s: statement %d of %d%s, %s\n", e, i, n, changed, console.Seconds(d))
}

// migrationPlan compares the migrations with the warehouse's history and writes nothing: through the server when one has the
// embedded warehouse open.
func (a *app) migrationPlan(ctx context.Context, p *project.Project, purpose string) ([]migrate.Entry, error) {
	rows, err := a.readHistory(ctx, p, purpose)
	return migrate.Plan(p.Migrations, rows, p.Environment.Kind()), err
}

func (a *app) readHistory(ctx context.Context, p *project.Project, purpose string) (rows []migrate.Row, err error) {
	if p.Environment.Embedded() {
		if !console.WarehouseExists(p) {
			return nil, nil
		}
		unlock, err := a.lockForMigrate(p, purpose)
		if console.IsLocked(err) {
			return a.readServedHistory(ctx, p, err)
		}
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, unlock()) }()
	}
	d, err := a.OpenDriver(ctx, p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return history.Read(ctx, d.Query)
}

// readServedHistory asks the server that has the warehouse open; locked is the error when there is none.
func (a *app) readServedHistory(ctx context.Context, p *project.Project, locked error) ([]migrate.Row, error) {
	return history.Read(ctx, func(ctx context.Context, sql string) (array.RecordReader, error) {
		rows, served, err := a.QueryServed(ctx, p, sql)
		if !served {
			return nil, locked
		}
		return rows, err
	})
}
