package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/spf13/cobra"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/project"
	"damson/internal/registry"
	"damson/internal/store"
	storedriver "damson/internal/store/driver"
	"damson/internal/tasks"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
)

// stateDir holds a project's local state: store, embedded warehouse, lock. Git ignores it.
const stateDir = ".damson"

// openProject reads the project and refuses one with errors, which it gives. Warnings are for validate.
func (a *app) openProject() (*project.Project, error) {
	p, findings, err := a.loadProject()
	if err != nil {
		return nil, err
	}
	mistakes := slices.DeleteFunc(findings, func(f diag.Finding) bool { return !f.IsError() })
	return p, mistakes.Err()
}

// findProject gives the project's directory.
func (a *app) findProject() (string, error) {
	if a.projectDir == "" {
		dir, err := project.Find(".")
		if err != nil {
			return "", usageError{diag.AsFinding("No project", err)}
		}
		return dir, nil
	}
	if info, err := os.Stat(a.projectDir); err != nil || !info.IsDir() {
		return "", usage("No project here", fmt.Sprintf("--project %s is no directory.", a.projectDir),
			"Make a project with `damson init DIR`, or correct the path.")
	}
	return filepath.Abs(a.projectDir)
}

// loadProject reads the project with all findings; the error is about finding a project at all.
func (a *app) loadProject() (*project.Project, diag.Findings, error) {
	dir, err := a.findProject()
	if err != nil {
		return nil, nil, err
	}
	p, findings := project.Load(dir, a.projectOptions())
	a.redact = p.Redact
	return p, findings, nil
}

// projectOptions are how the command line loads projects.
func (a *app) projectOptions() project.Options {
	return project.Options{
		Env:       a.env,
		CheckGate: func(expr string) error { _, err := registry.ParseGate(expr); return err },
		Print:     func(at diag.Pos, text string) { fmt.Fprintf(a.err, "%s: %s\n", at, text) },
	}
}

// storeURL is where the store is when it is not in the project's directory: --store, or the variable DAMSON_STORE.
func (a *app) storeURL() string {
	if a.storeFlag != "" {
		return a.storeFlag
	}
	return os.Getenv("DAMSON_STORE")
}

// openStore opens the project's metadata, making it when absent.
func (a *app) openStore(ctx context.Context, p *project.Project) (*store.Store, error) {
	return a.openStoreIn(ctx, p.Dir)
}

// openStoreIn opens the metadata of the project in a directory.
func (a *app) openStoreIn(ctx context.Context, projectDir string) (*store.Store, error) {
	dir := filepath.Join(projectDir, stateDir)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, diag.Finding{
			Summary: "No place for the project's state",
			Detail:  fmt.Sprintf("Damson keeps runs, logs and models in %s, which cannot be made: %v.", dir, err),
			Fix:     "Make the project's directory writable, or free space on its disk.",
			Cause:   err,
		}
	}
	open := func() (storedriver.DB, error) { return a.drivers.StoreFile(ctx, filepath.Join(dir, "store.sqlite")) }
	switch scheme, _, _ := strings.Cut(a.storeURL(), ":"); scheme {
	case "":
	case "postgres", "postgresql":
		open = func() (storedriver.DB, error) { return a.drivers.StoreServer(ctx, a.storeURL()) }
	default:
		return nil, unknownStore(scheme)
	}
	db, err := open()
	if err != nil {
		return nil, err
	}
	return store.New(ctx, db)
}

func unknownStore(scheme string) error {
	return usage("Unknown kind of store", "--store (or DAMSON_STORE) begins with "+scheme+":.",
		"Write postgres://USER@HOST/DATABASE, or leave it out: the store is then in the project's directory.")
}

// openWarehouse opens the environment's warehouse.
func (a *app) openWarehouse(ctx context.Context, p *project.Project) (*warehouse.Warehouse, error) {
	d, err := a.openDriver(ctx, p)
	if err != nil {
		return nil, err
	}
	w, err := warehouse.New(ctx, d)
	if err != nil {
		return nil, errors.Join(atWarehouse(p, err), d.Close())
	}
	return w, nil
}

func (a *app) openDriver(ctx context.Context, p *project.Project) (driver.Warehouse, error) {
	if !p.Environment.Embedded() {
		return a.openServer(ctx, p, serverOptions(p))
	}
	path := embeddedPath(p)
	if path != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return nil, diag.AsFinding("No place for the embedded warehouse", err)
		}
	}
	return a.drivers.Embedded(ctx, path, p.Environment.Limits)
}

// embeddedPath is the file of the embedded warehouse, "" for one in memory.
func embeddedPath(p *project.Project) string {
	_, path, _ := strings.Cut(p.Environment.Warehouse.Reveal(), ":")
	if path != "" && !filepath.IsAbs(path) {
		path = filepath.Join(p.Dir, path)
	}
	return path
}

// serverOptions are what the environment asks of a warehouse in a server.
func serverOptions(p *project.Project) ServerOptions {
	l := p.Environment.Limits
	return ServerOptions{MaxConns: l.MaxConnections, StatementTimeout: l.StatementTimeout, LockTimeout: l.LockTimeout}
}

func (a *app) openServer(ctx context.Context, p *project.Project, o ServerOptions) (driver.Warehouse, error) {
	w, err := a.drivers.Server(ctx, p.Environment.Warehouse.Reveal(), o)
	if err != nil {
		return nil, atWarehouse(p, err)
	}
	return w, nil
}

// atWarehouse puts the line of damson.yaml that names the warehouse to a finding about it that has no place of its own.
func atWarehouse(p *project.Project, err error) error {
	var f diag.Finding
	if errors.As(err, &f) && f.At.File == "" && !p.Environment.Embedded() {
		f.At = p.Environment.At
		return f
	}
	return err
}

// workspace is a project opened for work: this process alone drives its runs, and has its embedded warehouse open.
type workspace struct {
	project   *project.Project
	store     *store.Store
	warehouse *warehouse.Warehouse
	lock      *flock.Flock
}

// openWorkspace opens project, store and warehouse under the project's lock.
func (a *app) openWorkspace(ctx context.Context, purpose string) (*workspace, error) {
	p, err := a.openProject()
	if err != nil {
		return nil, err
	}
	return a.workspaceOf(ctx, p, purpose)
}

func (a *app) workspaceOf(ctx context.Context, p *project.Project, purpose string) (*workspace, error) {
	w := &workspace{project: p}
	var err error
	if w.store, err = a.openStore(ctx, p); err != nil {
		return nil, err
	}
	if w.lock, err = a.lockProject(p, purpose); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	if w.warehouse, err = a.openWarehouse(ctx, p); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// Close releases everything that was opened, the lock last.
func (w *workspace) Close() error {
	var errs []error
	if w.warehouse != nil {
		errs = append(errs, w.warehouse.Close())
	}
	if w.store != nil {
		errs = append(errs, w.store.Close())
	}
	if w.lock != nil {
		errs = append(errs, w.lock.Unlock())
	}
	return errors.Join(errs...)
}

// lockProject keeps other processes from working on the project. The operating system frees the lock when the process
// ends, however it ends. A file beside it tells people who holds it.
func (a *app) lockProject(p *project.Project, purpose string) (*flock.Flock, error) {
	path := filepath.Join(p.Dir, stateDir, "lock")
	holder := filepath.Join(p.Dir, stateDir, "lock.holder")
	l := flock.New(path)
	got, err := l.TryLock()
	if err != nil {
		return nil, diag.AsFinding("The project cannot be locked", err)
	}
	if !got {
		why := "One process at a time drives its runs."
		if p.Environment.Embedded() {
			why = "The embedded warehouse takes one process at a time."
		}
		who, readErr := os.ReadFile(holder)
		if readErr != nil {
			who = []byte("another damson")
		}
		return nil, lockedError{diag.Finding{
			Summary: "Another process works on this project",
			Detail:  fmt.Sprintf("%s holds %s. %s", strings.TrimSpace(string(who)), path, why),
			Fix:     "Wait until it has ended, or stop it with Ctrl-C. `damson runs`, `tasks` and `logs` work meanwhile.",
		}}
	}
	note := fmt.Sprintf("`damson %s` (process %d, since %s)\n", purpose, os.Getpid(), a.clock.Now().Format(time.RFC3339))
	if err := os.WriteFile(holder, []byte(note), 0o666); err != nil {
		return nil, errors.Join(diag.AsFinding("The project cannot be locked", err), l.Unlock())
	}
	return l, nil
}

// lockedError says that another process has the project's lock.
type lockedError struct{ diag.Finding }

func (e lockedError) Unwrap() error { return e.Finding }

func isLocked(err error) bool {
	var locked lockedError
	return errors.As(err, &locked)
}

// withStore opens project and store only: for commands that read what happened, also while another process works.
func (a *app) withStore(ctx context.Context, f func(p *project.Project, s *store.Store) error) (err error) {
	p, err := a.openProject()
	if err != nil {
		return err
	}
	s, err := a.openStore(ctx, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return f(p, s)
}

// withWorkspace opens a workspace around f.
func (a *app) withWorkspace(ctx context.Context, purpose string, f func(w *workspace) error) (err error) {
	w, err := a.openWorkspace(ctx, purpose)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	return f(w)
}

// withWarehouse opens the warehouse alone around f, an embedded one under the project's lock.
func (a *app) withWarehouse(ctx context.Context, p *project.Project, purpose string, f func(w *warehouse.Warehouse) error) (err error) {
	if p.Environment.Embedded() {
		return a.withWorkspace(ctx, purpose, func(w *workspace) error { return f(w.warehouse) })
	}
	w, err := a.openWarehouse(ctx, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	return f(w)
}

// completeEnvironments offers the project's environments to the shell.
func (a *app) completeEnvironments(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	p, _, err := a.loadProject()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return p.Environments, cobra.ShellCompDirectiveNoFileComp
}

// completePipelines offers the project's pipelines as the first argument.
func (a *app) completePipelines(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.completeFirst(args, func(pl *pipeline.Pipeline) []string { return []string{pl.Name} })
}

// completeFirst offers names of each pipeline as the first argument.
func (a *app) completeFirst(args []string, names func(*pipeline.Pipeline) []string) ([]string, cobra.ShellCompDirective) {
	p, _, err := a.loadProject()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var all []string
	for _, pl := range p.Pipelines {
		all = append(all, names(pl)...)
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

// writeFile puts a whole file in place at once, so that nobody sees half of it.
func writeFile(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".damson-*")
	if err == nil {
		_, err = tmp.Write(data)
		err = errors.Join(err, tmp.Chmod(0o644), tmp.Close())
		if err == nil {
			err = os.Rename(tmp.Name(), path)
		}
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}
	if err == nil {
		return nil
	}
	fix := "Choose another place with --out, or free space there."
	if errors.Is(err, fs.ErrPermission) {
		fix = "Choose a place with --out that you may write to."
	}
	return diag.Finding{Summary: fmt.Sprintf("%s was not written", path), Detail: err.Error(), Fix: fix, Cause: err}
}

// shop is where tasks of a project are executed.
func (a *app) shop(p *project.Project, s *store.Store, w *warehouse.Warehouse) *tasks.Shop {
	return &tasks.Shop{Project: p, Renderer: p, Warehouse: w, Registry: registry.New(s, a.clock), Past: s, Clock: a.clock,
		Parquet: a.drivers.ReadParquet, ToParquet: a.drivers.WriteParquet}
}

// warehouseExists reports whether the embedded warehouse has been made yet.
func warehouseExists(p *project.Project) bool {
	_, err := os.Stat(embeddedPath(p))
	return !errors.Is(err, fs.ErrNotExist)
}
