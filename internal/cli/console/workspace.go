package console

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

	"damson/internal/diag"
	"damson/internal/project"
	"damson/internal/registry"
	"damson/internal/store"
	storedriver "damson/internal/store/driver"
	"damson/internal/tasks"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
)

// StateDir holds a project's local state: store, embedded warehouse, lock. Git ignores it.
const StateDir = ".damson"

// OpenProject reads the project and refuses one with errors, which it gives. Warnings are for validate.
func (a *App) OpenProject() (*project.Project, error) {
	p, findings, err := a.LoadProject()
	if err != nil {
		return nil, err
	}
	mistakes := slices.DeleteFunc(findings, func(f diag.Finding) bool { return !f.IsError() })
	return p, mistakes.Err()
}

// FindProject gives the project's directory.
func (a *App) FindProject() (string, error) {
	if a.ProjectDir == "" {
		dir, err := project.Find(".")
		if err != nil {
			return "", UsageError{diag.AsFinding("No project", err)}
		}
		return dir, nil
	}
	if info, err := os.Stat(a.ProjectDir); err != nil || !info.IsDir() {
		return "", Usage("No project here", fmt.Sprintf("--project %s is no directory.", a.ProjectDir),
			"Make a project with `damson init DIR`, or correct the path.")
	}
	return filepath.Abs(a.ProjectDir)
}

// LoadProject reads the project with all findings; the error is about finding a project at all.
func (a *App) LoadProject() (*project.Project, diag.Findings, error) {
	dir, err := a.FindProject()
	if err != nil {
		return nil, nil, err
	}
	p, findings := project.Load(dir, a.ProjectOptions())
	a.Redact = p.Redact
	return p, findings, nil
}

// ProjectOptions are how the command line loads projects.
func (a *App) ProjectOptions() project.Options {
	return project.Options{
		Env:       a.Env,
		CheckGate: func(expr string) error { _, err := registry.ParseGate(expr); return err },
		Print:     func(at diag.Pos, text string) { fmt.Fprintf(a.Err, "%s: %s\n", at, text) },
	}
}

// StoreURL is where the store is when it is not in the project's directory: --store, or the variable DAMSON_STORE.
func (a *App) StoreURL() string {
	if a.StoreFlag != "" {
		return a.StoreFlag
	}
	return os.Getenv("DAMSON_STORE")
}

// OpenStore opens the project's metadata, making it when absent.
func (a *App) OpenStore(ctx context.Context, p *project.Project) (*store.Store, error) {
	return a.OpenStoreIn(ctx, p.Dir)
}

// OpenStoreIn opens the metadata of the project in a directory.
func (a *App) OpenStoreIn(ctx context.Context, projectDir string) (*store.Store, error) {
	dir := filepath.Join(projectDir, StateDir)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, diag.Finding{
			Summary: "No place for the project's state",
			Detail:  fmt.Sprintf("Damson keeps runs, logs and models in %s, which cannot be made: %v.", dir, err),
			Fix:     "Make the project's directory writable, or free space on its disk.",
			Cause:   err,
		}
	}
	open := func() (storedriver.DB, error) { return a.Drivers.StoreFile(ctx, filepath.Join(dir, "store.sqlite")) }
	switch scheme, _, _ := strings.Cut(a.StoreURL(), ":"); scheme {
	case "":
	case "postgres", "postgresql":
		open = func() (storedriver.DB, error) { return a.Drivers.StoreServer(ctx, a.StoreURL()) }
	default:
		return nil, UnknownStore(scheme)
	}
	db, err := open()
	if err != nil {
		return nil, err
	}
	return store.New(ctx, db)
}

// UnknownStore says that --store is of no kind there is.
func UnknownStore(scheme string) error {
	return Usage("Unknown kind of store", "--store (or DAMSON_STORE) begins with "+scheme+":.",
		"Write postgres://USER@HOST/DATABASE, or leave it out: the store is then in the project's directory.")
}

// OpenWarehouse opens the environment's warehouse.
func (a *App) OpenWarehouse(ctx context.Context, p *project.Project) (*warehouse.Warehouse, error) {
	d, err := a.OpenDriver(ctx, p)
	if err != nil {
		return nil, err
	}
	w, err := warehouse.New(ctx, d)
	if err != nil {
		return nil, errors.Join(atWarehouse(p, err), d.Close())
	}
	return w, nil
}

// OpenDriver opens the environment's warehouse and makes nothing in it.
func (a *App) OpenDriver(ctx context.Context, p *project.Project) (driver.Warehouse, error) {
	if !p.Environment.Embedded() {
		return a.OpenServer(ctx, p, serverOptions(p))
	}
	path := EmbeddedPath(p)
	if path != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return nil, diag.AsFinding("No place for the embedded warehouse", err)
		}
	}
	return a.Drivers.Embedded(ctx, path, p.Environment.Limits)
}

// EmbeddedPath is the file of the embedded warehouse, "" for one in memory.
func EmbeddedPath(p *project.Project) string {
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

// OpenServer opens a warehouse in a server.
func (a *App) OpenServer(ctx context.Context, p *project.Project, o ServerOptions) (driver.Warehouse, error) {
	w, err := a.Drivers.Server(ctx, p.Environment.Warehouse.Reveal(), o)
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

// Workspace is a project opened for work: this process alone drives its runs, and has its embedded warehouse open.
type Workspace struct {
	Project   *project.Project
	Store     *store.Store
	Warehouse *warehouse.Warehouse
	lock      *flock.Flock
}

// openWorkspace opens project, store and warehouse under the project's lock.
func (a *App) openWorkspace(ctx context.Context, purpose string) (*Workspace, error) {
	p, err := a.OpenProject()
	if err != nil {
		return nil, err
	}
	return a.WorkspaceOf(ctx, p, purpose)
}

// WorkspaceOf opens store and warehouse of a project under its lock.
func (a *App) WorkspaceOf(ctx context.Context, p *project.Project, purpose string) (*Workspace, error) {
	w := &Workspace{Project: p}
	var err error
	if w.Store, err = a.OpenStore(ctx, p); err != nil {
		return nil, err
	}
	if w.lock, err = a.LockProject(p, purpose); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	if w.Warehouse, err = a.OpenWarehouse(ctx, p); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// Close releases everything that was opened, the lock last.
func (w *Workspace) Close() error {
	var errs []error
	if w.Warehouse != nil {
		errs = append(errs, w.Warehouse.Close())
	}
	if w.Store != nil {
		errs = append(errs, w.Store.Close())
	}
	if w.lock != nil {
		errs = append(errs, w.lock.Unlock())
	}
	return errors.Join(errs...)
}

// LockProject keeps other processes from working on the project. The operating system frees the lock when the process
// ends, however it ends. A file beside it tells people who holds it.
func (a *App) LockProject(p *project.Project, purpose string) (*flock.Flock, error) {
	path := filepath.Join(p.Dir, StateDir, "lock")
	holder := filepath.Join(p.Dir, StateDir, "lock.holder")
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
		return nil, LockedError{diag.Finding{
			Summary: "Another process works on this project",
			Detail:  fmt.Sprintf("%s holds %s. %s", strings.TrimSpace(string(who)), path, why),
			Fix:     "Wait until it has ended, or stop it with Ctrl-C. `damson runs`, `tasks` and `logs` work meanwhile.",
		}}
	}
	note := fmt.Sprintf("`damson %s` (process %d, since %s)\n", purpose, os.Getpid(), a.Clock.Now().Format(time.RFC3339))
	if err := os.WriteFile(holder, []byte(note), 0o666); err != nil {
		return nil, errors.Join(diag.AsFinding("The project cannot be locked", err), l.Unlock())
	}
	return l, nil
}

// LockedError says that another process has the project's lock.
type LockedError struct{ diag.Finding }

// Unwrap gives the finding.
func (e LockedError) Unwrap() error { return e.Finding }

// IsLocked reports whether another process has the project's lock.
func IsLocked(err error) bool {
	var locked LockedError
	return errors.As(err, &locked)
}

// WithStore opens project and store only: for commands that read what happened, also while another process works.
func (a *App) WithStore(ctx context.Context, f func(p *project.Project, s *store.Store) error) (err error) {
	p, err := a.OpenProject()
	if err != nil {
		return err
	}
	s, err := a.OpenStore(ctx, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return f(p, s)
}

// WithWorkspace opens a workspace around f.
func (a *App) WithWorkspace(ctx context.Context, purpose string, f func(w *Workspace) error) (err error) {
	w, err := a.openWorkspace(ctx, purpose)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	return f(w)
}

// WithWarehouse opens the warehouse alone around f, an embedded one under the project's lock.
func (a *App) WithWarehouse(ctx context.Context, p *project.Project, purpose string, f func(w *warehouse.Warehouse) error) (err error) {
	if p.Environment.Embedded() {
		return a.WithWorkspace(ctx, purpose, func(w *Workspace) error { return f(w.Warehouse) })
	}
	w, err := a.OpenWarehouse(ctx, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	return f(w)
}

// WriteFile puts a whole file in place at once, so that nobody sees half of it.
func WriteFile(path string, data []byte) error {
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

// Shop is where tasks of a project are executed.
func (a *App) Shop(p *project.Project, s *store.Store, w *warehouse.Warehouse) *tasks.Shop {
	return &tasks.Shop{Project: p, Renderer: p, Warehouse: w, Registry: registry.New(s, a.Clock), Past: s, Clock: a.Clock,
		Parquet: a.Drivers.ReadParquet, ToParquet: a.Drivers.WriteParquet}
}

// WarehouseExists reports whether the embedded warehouse has been made yet.
func WarehouseExists(p *project.Project) bool {
	_, err := os.Stat(EmbeddedPath(p))
	return !errors.Is(err, fs.ErrNotExist)
}
