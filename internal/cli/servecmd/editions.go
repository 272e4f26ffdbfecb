package servecmd

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"damson/internal/cli/console"
	"damson/internal/cli/runcmd"
	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/project"
	"damson/internal/scheduler"
	"damson/internal/store"
	"damson/internal/tasks"
	"damson/internal/warehouse"
	"damson/internal/watch"
)

// editions are the versions of a project that a server has at hand: the present one, and those that runs under way were
// made with. It is a scheduler.Projects.
type editions struct {
	app       *app
	dir       string
	store     *store.Store
	snapshots *watch.Versions
	warehouse atomic.Pointer[warehouse.Warehouse] // nil until it is open here
	changed   chan struct{}

	mu      sync.Mutex
	current *edition
	known   map[string]*edition // by pipeline and version
	saving  errgroup.Group
}

// edition is one version of the project.
type edition struct {
	*scheduler.Catalogue
	project *project.Project
}

func (a *app) newEditions(dir string, s *store.Store) *editions {
	e := &editions{app: a, dir: dir, store: s, changed: make(chan struct{}, 1), known: map[string]*edition{}}
	load := func(source string) (*project.Project, diag.Findings) {
		o := a.ProjectOptions()
		o.Home = dir
		return project.Load(source, o)
	}
	e.snapshots = watch.NewVersions(filepath.Join(dir, console.StateDir, "versions"), s, load, watch.VersionsOptions{Clock: a.Clock})
	return e
}

// read loads the project as its files are now.
func (e *editions) read(ctx context.Context) (*project.Project, diag.Findings) {
	return e.snapshots.Read(ctx, e.dir)
}

// become makes a version of the project the present one.
func (e *editions) become(ctx context.Context, p *project.Project) error {
	version, err := e.snapshots.Put(ctx, p)
	if err != nil {
		return err
	}
	ed := e.edition(p)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.current = ed
	var unsaved []string
	for _, pl := range p.Pipelines {
		name := editionKey(pl.Name, pl.Version)
		if e.known[name] == nil {
			unsaved = append(unsaved, name)
		}
		e.known[name] = ed
	}
	e.saving.Go(func() error { return e.index(ctx, unsaved, version) })
	select {
	case e.changed <- struct{}{}:
	default:
	}
	return nil
}

// index remembers which version of the project a version of a pipeline belongs to. A store that is away is waited for:
// without the index another process could not go on with the runs of this version.
func (e *editions) index(ctx context.Context, names []string, version string) error {
	var g errgroup.Group
	g.SetLimit(64) // the store writes together what comes together
	for _, name := range names {
		g.Go(func() error {
			for {
				err := e.store.SaveSnapshot(ctx, name, []byte(version))
				if err == nil || e.app.Clock.Sleep(ctx, time.Second) != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

func editionKey(name, version string) string { return "pipeline/" + name + "@" + version }

// edition puts a project together with what executes its tasks.
func (e *editions) edition(p *project.Project) *edition {
	c := &scheduler.Catalogue{Pipelines: p.Pipelines, Pools: p.Pools}
	var without, with func() map[pipeline.Kind]engine.Executor
	without = sync.OnceValue(func() map[pipeline.Kind]engine.Executor { return e.shop(p, nil).Executors() })
	with = sync.OnceValue(func() map[pipeline.Kind]engine.Executor { return e.shop(p, e.warehouse.Load()).Executors() })
	c.Executor = func(kind pipeline.Kind) engine.Executor {
		if e.warehouse.Load() == nil {
			return without()[kind]
		}
		return with()[kind]
	}
	return &edition{Catalogue: c, project: p}
}

func (e *editions) shop(p *project.Project, w *warehouse.Warehouse) *tasks.Shop {
	shop := e.app.Shop(p, e.store, w)
	shop.Starter = &runcmd.RemoteStarter{Clock: e.app.Clock, Store: e.store}
	return shop
}

// Current is the last version without errors.
func (e *editions) Current() *scheduler.Catalogue {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current.Catalogue
}

// Changed is signalled when Current has changed.
func (e *editions) Changed() <-chan struct{} { return e.changed }

// Find gives a pipeline in one of its versions.
func (e *editions) Find(ctx context.Context, name, version string) (*pipeline.Pipeline, *scheduler.Catalogue, error) {
	ed, err := e.find(ctx, editionKey(name, version))
	if err != nil {
		return nil, nil, err
	}
	p, err := ed.project.Pipeline(name)
	return p, ed.Catalogue, err
}

func (e *editions) find(ctx context.Context, name string) (*edition, error) {
	e.mu.Lock()
	ed := e.known[name]
	e.mu.Unlock()
	if ed != nil {
		return ed, nil
	}
	version, err := e.store.Snapshot(ctx, name)
	if err != nil {
		return nil, err
	}
	if version == nil {
		return nil, fmt.Errorf("the store has no copy of %s", name)
	}
	p, err := e.snapshots.Get(ctx, string(version))
	if err != nil {
		return nil, err
	}
	ed = e.edition(p)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.known[name] = ed
	return ed, nil
}

// follow takes in what people change in the files, until ctx ends. A version with errors is told of and changes nothing.
func (e *editions) follow(ctx context.Context, w *watch.Watcher, tell func(diag.Findings, *project.Project)) {
	go w.Run(ctx)
	for change := range w.Changes() {
		if change.Project != nil {
			if err := e.become(ctx, change.Project); err != nil {
				change = watch.Change{Findings: diag.Findings{diag.AsFinding("The new version cannot be kept", err)}}
			}
		}
		tell(change.Findings, change.Project)
	}
}
