package servecmd

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/gofrs/flock"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"damson/internal/cli/console"
	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/migrate/history"
	"damson/internal/project"
	"damson/internal/scheduler"
	"damson/internal/serve"
	"damson/internal/sqltext"
	"damson/internal/store"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
	"damson/internal/watch"
)

// serveOptions are the flags of serve and worker.
type serveOptions struct {
	listen      string
	noScheduler bool
	noWorker    bool
	parallel    int
	drain       time.Duration
	lease       time.Duration
	log         string
}

// serveDefaults are the options of a plain damson serve.
func serveDefaults() serveOptions {
	return serveOptions{listen: "127.0.0.1:8080", drain: 10 * time.Second, lease: 10 * time.Second, log: "text"}
}

func (o *serveOptions) addFlags(cmd *cobra.Command) {
	f, d := cmd.Flags(), serveDefaults()
	f.IntVar(&o.parallel, "parallel", 0, "at most this many `tasks` at a time (default: one for each processor)")
	f.DurationVar(&o.drain, "drain", d.drain, "how long tasks under way may go on when the server is asked to end")
	f.DurationVar(&o.lease, "lease", d.lease, "how long a process may be silent before others take over; the same for all")
	f.StringVar(&o.log, "log", d.log, "how to write the log: `text` or json")
	_ = cmd.RegisterFlagCompletionFunc("log", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

func (a *app) serveCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "run the project by itself: scheduler, worker and HTTP listener",
		Long: `Runs every pipeline when its data intervals have ended, catches up where a pipeline says so, and takes in changes of the
project's files while it runs. Other commands go through it meanwhile. Ctrl-C lets tasks under way end; a second one does not.
After a crash, start it again: it goes on where it was.

With --store postgres://… several processes share the work: one leads, and another takes over when it dies.`,
		Example: `  damson serve
  damson serve --listen 127.0.0.1:9000 --parallel 4
  damson serve --store postgres://damson@db.internal/damson`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), o) },
	}
	o.addFlags(cmd)
	cmd.Flags().StringVar(&o.listen, "listen", serveDefaults().listen, "the `address` of health, metrics and the page; \"\" for none")
	cmd.Flags().BoolVar(&o.noScheduler, "no-scheduler", false, "do not lead: only work")
	cmd.Flags().BoolVar(&o.noWorker, "no-worker", false, "do not execute tasks: only lead")
	return cmd
}

func (a *app) workerCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "execute tasks for a server elsewhere that uses the same --store",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.noScheduler = true
			return a.serve(cmd.Context(), o)
		},
	}
	o.addFlags(cmd)
	return cmd
}

// server is a running serve or worker.
type server struct {
	*app
	o        serveOptions
	dir      string
	store    *store.Store
	editions *editions
	log      *slog.Logger
	id       string
	lock     *flock.Flock
	address  string // of the listener, as a URL; "" = none
	token    string // of those who want rows
}

// serve runs until ctx ends.
func (a *app) serve(ctx context.Context, o serveOptions) (err error) {
	if o.noScheduler && o.noWorker {
		return console.Usage("Nothing to do", "--no-scheduler and --no-worker leave nothing.", "Leave one of them out.")
	}
	if o.parallel < 0 || o.lease < time.Second || o.log != "text" && o.log != "json" {
		return console.Usage("Unusable option", fmt.Sprintf("--parallel %d, --lease %s, --log %s.", o.parallel, o.lease, o.log),
			"--parallel takes 1 or more, --lease 1s or more, --log text or json.")
	}
	switch {
	case o.noWorker:
		o.parallel = 0
	case o.parallel == 0:
		o.parallel = runtime.NumCPU()
	}
	s := &server{app: a, o: o, id: processID(), token: newToken()}
	if s.dir, err = a.FindProject(); err != nil {
		return err
	}
	if s.store, err = a.OpenStoreIn(ctx, s.dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return s.run(ctx)
}

// processID names this process so that no other ever has the same name.
func processID() string {
	return fmt.Sprintf("%s-%d-%s", console.Hostname(), os.Getpid(), rand.Text()[:6])
}

// run starts the parts and ends them together.
func (s *server) run(ctx context.Context) error {
	s.editions = s.newEditions(s.dir, s.store)
	watcher := watch.New(s.dir, func() (*project.Project, diag.Findings) { return s.editions.read(ctx) }, watch.Options{Clock: s.Clock})
	p, findings := s.editions.read(ctx)
	if findings.HasErrors() {
		return findings
	}
	if s.o.noWorker && p.Environment.Embedded() {
		return console.Usage("A leader has to work here", "The embedded warehouse opens in one process, and whoever leads must have it open, so that no other could execute SQL.",
			"Leave --no-worker out.")
	}
	s.Redact = p.Redact
	s.log = s.logger()
	if err := s.editions.become(ctx, p); err != nil {
		return err
	}
	var listener net.Listener
	if s.o.listen != "" {
		var err error
		if listener, err = serve.Listen(ctx, s.o.listen); err != nil {
			return err
		}
		s.address = "http://" + listener.Addr().String()
	}
	if s.StoreURL() != "" { // else once the warehouse is open: a second server on the project ends before it says that it serves
		s.welcome(p)
	}
	service := scheduler.New(s.store, s.editions, s.Clock, s.options(p))
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := service.Run(ctx); err != nil {
			return err
		}
		return context.Canceled // the other parts end with it
	})
	g.Go(func() error {
		s.editions.follow(ctx, watcher, s.tellChange)
		return nil
	})
	if listener != nil {
		g.Go(func() error { return s.pages(p).Serve(ctx, listener) })
	}
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, s.editions.saving.Wait())
}

// options say what this process takes part in.
func (s *server) options(p *project.Project) scheduler.Options {
	o := scheduler.Options{ID: s.id, Host: console.Hostname(), PID: os.Getpid(), Version: console.Version(), Parallel: s.o.parallel, Leads: !s.o.noScheduler,
		Alone: s.StoreURL() == "", Dead: console.DeadHere, Lease: s.o.lease, Drain: s.o.drain, Log: s.log, Address: s.address}
	// The embedded warehouse is in one process, and only who has it can lead: nobody else may take it.
	if o.Leads || !p.Environment.Embedded() {
		o.Open = func(ctx context.Context) (engine.Ledger, error) { return s.openWarehouse(ctx, p) }
	}
	return o
}

// openWarehouse opens the warehouse in this process, under the project's lock where no other process may have the same one or
// the same store.
func (s *server) openWarehouse(ctx context.Context, p *project.Project) (engine.Ledger, error) {
	if p.Environment.Embedded() || s.StoreURL() == "" {
		if err := s.waitForLock(ctx, p); err != nil {
			return nil, err
		}
	}
	w, err := s.awaitWarehouse(ctx, p)
	if err != nil {
		return nil, err
	}
	s.editions.warehouse.Store(w)
	if text := history.Warning(ctx, w, p.Migrations, p.Environment.Kind()); text != "" {
		s.log.Warn(text)
	}
	if s.StoreURL() == "" {
		s.welcome(p)
	}
	if !p.Environment.Embedded() { // commands open it themselves
		return w, nil
	}
	return w, s.writeServerNote()
}

// openPatience is how long a server waits for a warehouse that takes no connections when it starts.
const openPatience = 30 * time.Second

// awaitWarehouse opens the warehouse. One that is away just then, because its server starts again, has some time to come back.
func (s *server) awaitWarehouse(ctx context.Context, p *project.Project) (*warehouse.Warehouse, error) {
	until := s.Clock.Now().Add(openPatience)
	for told := false; ; told = true {
		w, err := s.app.OpenWarehouse(ctx, p)
		e := (*driver.Error)(nil)
		if err == nil || !errors.As(err, &e) || e.Class != driver.Connection || s.Clock.Now().After(until) {
			return w, err
		}
		if !told {
			s.log.Warn("the warehouse does not answer; this process tries again for a while", "patience", openPatience, "error", e.Message)
		}
		if s.Clock.Sleep(ctx, 250*time.Millisecond) != nil {
			return nil, err
		}
	}
}

// waitForLock takes the project's lock: at once when the store is in the project, else when the process that has it ends.
func (s *server) waitForLock(ctx context.Context, p *project.Project) error {
	for told := false; ; told = true {
		lock, err := s.LockProject(p, "serve")
		if err == nil {
			s.lock = lock
			return nil
		}
		if s.StoreURL() == "" || !console.IsLocked(err) {
			return err
		}
		if !told {
			s.log.Info("another process has the embedded warehouse open; this one takes over when that ends, and executes what needs no warehouse")
		}
		if s.Clock.Sleep(ctx, 250*time.Millisecond) != nil {
			return ctx.Err()
		}
	}
}

// close releases everything, the lock last.
func (s *server) close() error {
	var errs []error
	if s.editions != nil {
		if w := s.editions.warehouse.Load(); w != nil {
			errs = append(errs, w.Close())
		}
	}
	errs = append(errs, s.store.Close())
	if s.lock != nil {
		if err := os.Remove(console.ServerNoteFile(s.dir)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		errs = append(errs, s.lock.Unlock())
	}
	return errors.Join(errs...)
}

// logger writes the server's log, without secrets.
func (s *server) logger() *slog.Logger {
	o := &slog.HandlerOptions{ReplaceAttr: func(_ []string, attr slog.Attr) slog.Attr {
		if attr.Key != slog.TimeKey && attr.Key != slog.LevelKey {
			attr.Value = slog.StringValue(s.Redact(attr.Value.String()))
		}
		return attr
	}}
	if s.o.log == "json" {
		return slog.New(slog.NewJSONHandler(s.Err, o))
	}
	return slog.New(slog.NewTextHandler(s.Err, o))
}

// welcome says what is served and where.
func (s *server) welcome(p *project.Project) {
	at := ""
	if s.address != "" {
		at = " at " + s.address
	}
	fmt.Fprintf(s.Err, "Damson serves %s (%s)%s with %s; Ctrl-C ends it.\n", s.Style(console.StyleHead, p.Name), console.Plural(len(p.Pipelines), "pipeline"), at,
		console.Plural(s.o.parallel, "worker"))
}

// tellChange reports a change of the project's files.
func (s *server) tellChange(findings diag.Findings, p *project.Project) {
	if p != nil {
		s.log.Info("the project has changed", "version", p.Version, "pipelines", len(p.Pipelines))
		return
	}
	s.log.Error("the project's files have errors; the version before stays in use", "findings", strings.TrimSpace(findings.Error()))
}

// query runs a statement for a command, which cannot open the embedded warehouse itself.
func (s *server) query(ctx context.Context, sql string) (array.RecordReader, error) {
	w := s.editions.warehouse.Load()
	if w == nil {
		return nil, diag.Finding{Summary: "The warehouse is not open here", Detail: "Another process has it.", Fix: "Try again in a moment."}
	}
	return w.Query(ctx, sqltext.Plain("query", sql))
}

// pages is the HTTP side.
func (s *server) pages(p *project.Project) *serve.Server {
	return serve.New(serve.Options{Project: p.Name, Environment: p.Environment.Name, Version: console.Version(), Redact: s.Redact, Log: s.Err,
		Checks: []serve.Check{
			{Name: "store", Do: func(ctx context.Context) error { _, err := s.store.Lease(ctx); return err }},
			{Name: "leader", Do: func(ctx context.Context) error {
				l, err := s.store.Lease(ctx)
				if err == nil && l.Holder == "" {
					err = errors.New("no process leads")
				}
				return err
			}},
		}, Meters: []serve.Meter{meter{s}}, Token: s.token, Query: s.query})
}

// writeServerNote leaves the note once this process has the warehouse open.
func (s *server) writeServerNote() error {
	if s.address == "" {
		return nil
	}
	text, err := json.Marshal(console.ServerNote{URL: s.address, Token: s.token})
	if err != nil {
		return err
	}
	path := console.ServerNoteFile(s.dir)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// newToken is what the server asks of those who want rows.
func newToken() string { return rand.Text() }
