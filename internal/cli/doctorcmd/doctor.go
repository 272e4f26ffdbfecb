package doctorcmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/spf13/cobra"

	"damson/internal/cli/console"
	"damson/internal/diag"
	"damson/internal/doctor"
	"damson/internal/project"
	"damson/internal/store"
	"damson/internal/warehouse/driver"
)

func (a *app) doctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "check project, machine, store and warehouse, and say what to mend",
		Long: `Looks at everything that a run needs, changes nothing, and says of each thing how it stands: ok; warning, it works and somebody
should look; problem, something will fail; not checked, what it depends on is not well. Exit code 1 when there is a problem.`,
		Example: `  damson doctor
  damson doctor --env prod`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context(), asJSON) },
	}
	console.JSONFlag(cmd, &asJSON)
	return cmd
}

// doctorReport is what --json prints.
type doctorReport struct {
	Project     string         `json:"project"`
	Environment string         `json:"environment"`
	Warehouse   string         `json:"warehouse"`
	Problems    int            `json:"problems"`
	Warnings    int            `json:"warnings"`
	Checks      []doctor.Check `json:"checks"`
}

func (a *app) doctor(ctx context.Context, asJSON bool) error {
	p, findings, err := a.LoadProject()
	if err != nil {
		return err
	}
	report := doctorReport{Project: cmp.Or(p.Name, filepath.Base(p.Dir)), Environment: p.Environment.Name, Warehouse: shownURL(p)}
	report.Checks = doctor.Examine(ctx, a.patient(p, findings))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for i := range report.Checks {
		c := &report.Checks[i]
		c.What, c.Why, c.Fix = p.Redact(c.What), p.Redact(c.Why), p.Redact(c.Fix)
		switch c.Status {
		case doctor.Problem:
			report.Problems++
		case doctor.Warning:
			report.Warnings++
		}
	}
	if asJSON {
		err = a.PrintJSON(report)
	} else {
		a.printDoctor(report)
	}
	if report.Problems > 0 {
		return errors.Join(err, console.ErrSilent)
	}
	return err
}

// ownLock is whether this process itself has the project's lock. Looking for a leader and taking the lock exclude each other: either
// would take the other for a process that works on the project.
type ownLock struct {
	sync.Mutex
	held bool
}

// patient hands the doctor the ways to what the project works with.
func (a *app) patient(p *project.Project, findings diag.Findings) doctor.Patient {
	own := &ownLock{}
	d := doctor.Patient{Project: p, Findings: findings, Clock: a.Clock, StateDir: filepath.Join(p.Dir, console.StateDir),
		Crew:   doctor.Crew{Parallel: runtime.NumCPU(), Most: cmp.Or(p.Environment.Limits.MaxConnections, a.poolOf(p.Environment.Warehouse.Reveal()))},
		Python: a.Shop(p, nil, nil).Python,
		Store:  func(ctx context.Context) (doctor.Store, error) { return a.lookAtStore(ctx, p) },
		Leader: func(ctx context.Context) (*doctor.Leader, error) { return a.lookAtLeader(ctx, p, own) }}
	d.Warehouse = func(ctx context.Context) (doctor.Opened, error) { return a.lookAtServer(ctx, p) }
	if p.Environment.Embedded() {
		d.File = console.EmbeddedPath(p)
		d.Warehouse = func(ctx context.Context) (doctor.Opened, error) { return a.lookAtEmbedded(ctx, p, own) }
	}
	return d
}

// shownURL is the warehouse's URL without user's password and parameters.
func shownURL(p *project.Project) string {
	revealed := p.Environment.Warehouse.Reveal()
	if p.Environment.Embedded() {
		return p.Redact(revealed)
	}
	u, err := url.Parse(revealed)
	if err != nil {
		return p.Environment.Kind()
	}
	u.RawQuery, u.Fragment = "", ""
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	return p.Redact(u.String())
}

// poolOf is how many connections the warehouse of a URL uses at most.
func (a *app) poolOf(address string) int {
	if u, err := url.Parse(address); err == nil {
		if n, err := strconv.Atoi(u.Query().Get("pool_max_conns")); err == nil && n > 0 {
			return n
		}
	}
	return a.Drivers.ServerConnections
}

// What doctor's own sessions may take. Their statements end in the server soon after nobody waits for them any more.
const (
	doctorConnections = 4
	connectPatience   = 4 * time.Second // for each address of a server
	lockPatience      = 2 * time.Second
	statementPatience = 6 * time.Second
)

// lookAtServer opens a warehouse in a server.
func (a *app) lookAtServer(ctx context.Context, p *project.Project) (o doctor.Opened, err error) {
	options := console.ServerOptions{MaxConns: doctorConnections, ConnectTimeout: connectPatience, LockTimeout: lockPatience, StatementTimeout: statementPatience}
	d, err := a.OpenServer(ctx, p, options)
	if err != nil {
		return o, err
	}
	o = doctor.Opened{Query: d.Query, Capabilities: d.Capabilities(), Driver: d, Close: d.Close, Place: shownURL(p)}
	return o, nil
}

// lookAtEmbedded opens the embedded warehouse, or asks the server that has it open.
func (a *app) lookAtEmbedded(ctx context.Context, p *project.Project, own *ownLock) (o doctor.Opened, err error) {
	o.Place = cmp.Or(console.Inside(console.EmbeddedPath(p)), "the database in memory")
	if console.EmbeddedPath(p) == "" || !console.WarehouseExists(p) {
		o.Absent = true
		return o, nil
	}
	if _, err := os.Stat(filepath.Join(p.Dir, console.StateDir)); err != nil { // nobody has the lock, and none is made
		return a.openEmbedded(ctx, p, o)
	}
	own.Lock()
	lock, err := a.LockProject(p, "doctor")
	own.held = err == nil
	own.Unlock()
	var locked console.LockedError
	if errors.As(err, &locked) {
		return a.lookThroughServer(ctx, p, o, locked.Finding)
	}
	if err != nil {
		return o, err
	}
	o, err = a.openEmbedded(ctx, p, o)
	if err != nil {
		return o, errors.Join(err, lock.Unlock())
	}
	closeFile := o.Close
	o.Close = func() error { return errors.Join(closeFile(), lock.Unlock()) }
	return o, nil
}

func (a *app) openEmbedded(ctx context.Context, p *project.Project, o doctor.Opened) (doctor.Opened, error) {
	d, err := a.OpenDriver(ctx, p)
	if err != nil {
		return o, err
	}
	o.Query, o.Capabilities, o.Driver, o.Close = d.Query, d.Capabilities(), d, d.Close
	return o, nil
}

// lookThroughServer asks the server that has the embedded warehouse open; locked says who has it when that is none.
func (a *app) lookThroughServer(ctx context.Context, p *project.Project, o doctor.Opened, locked diag.Finding) (doctor.Opened, error) {
	locked.Cause = doctor.ErrBusy
	note, there := console.ReadServerNote(p.Dir)
	if !there {
		return o, locked
	}
	o.Query = func(ctx context.Context, sql string) (array.RecordReader, error) {
		rows, served, err := a.QueryServed(ctx, p, sql)
		if !served {
			return nil, locked
		}
		return rows, err
	}
	o.Through = note.URL
	r, err := o.Query(ctx, "SELECT 1 AS one")
	if err != nil {
		return o, err
	}
	r.Release()
	o.Capabilities = driver.Capabilities{Kind: p.Environment.Kind(), OneProcess: true}
	return o, nil
}

// lookAtStore looks at the store and makes none.
func (a *app) lookAtStore(ctx context.Context, p *project.Project) (doctor.Store, error) {
	if a.StoreURL() != "" {
		return a.lookAtSharedStore(ctx)
	}
	path := filepath.Join(p.Dir, console.StateDir, "store.sqlite")
	s := doctor.Store{Place: console.Inside(path)}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		s.Absent = true
		return s, nil
	}
	db, err := a.Drivers.StoreFile(ctx, path)
	if err != nil {
		return s, err
	}
	s.Has, s.Knows, err = store.Look(ctx, db)
	return s, errors.Join(err, db.Close())
}

func (a *app) lookAtSharedStore(ctx context.Context) (doctor.Store, error) {
	if scheme, _, _ := strings.Cut(a.StoreURL(), ":"); scheme != "postgres" && scheme != "postgresql" {
		return doctor.Store{}, console.UnknownStore(scheme)
	}
	server, err := a.Drivers.LookAtStore(ctx, a.StoreURL(), connectPatience, a.Clock.Now)
	if err != nil {
		return doctor.Store{}, err
	}
	s := doctor.Store{Place: fmt.Sprintf("%s, PostgreSQL %s", server.Place, server.Version), Server: &server, Absent: !server.Schema}
	if s.Absent || server.ReadOnly || server.TooOld {
		return s, nil
	}
	db, err := a.Drivers.StoreServer(ctx, a.StoreURL()) // the schema is there: nothing is made
	if err != nil {
		return s, err
	}
	s.Has, s.Knows, err = store.Look(ctx, db)
	return s, errors.Join(err, db.Close())
}

// beatPatience is how long doctor waits for a sign of life of a leader elsewhere; one beats at least every few seconds.
const beatPatience = 4 * time.Second

// beatEvery is how often it looks for one.
const beatEvery = 200 * time.Millisecond

// lookAtLeader finds who leads, and whether it lives.
func (a *app) lookAtLeader(ctx context.Context, p *project.Project, own *ownLock) (*doctor.Leader, error) {
	s, err := a.OpenStore(ctx, p)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }() // nothing was written
	own.Lock()
	var process *store.Process
	if !own.held || a.StoreURL() != "" { // who has the lock over a store in the project leads
		process, err = a.LeaderOf(ctx, p, s)
	}
	own.Unlock()
	if err != nil || process == nil {
		return nil, err
	}
	l := &doctor.Leader{Name: fmt.Sprintf("process %d on %s", process.PID, process.Host), Address: process.Address, Version: process.Version, Own: console.Version()}
	if process.Host == console.Hostname() && process.Address != "" {
		l.Silent = askHealth(ctx, process.Address)
		return l, nil
	}
	l.Silent = a.awaitBeat(ctx, s)
	return l, nil
}

// askHealth asks a server on this machine whether it lives.
func askHealth(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, beatPatience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/healthz", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return diag.Finding{Summary: "The server does not answer", Detail: fmt.Sprintf("Its pages at %s do not answer: %v.", address, err), Cause: err}
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return diag.Finding{Summary: "The server does not answer", Detail: fmt.Sprintf("Its pages at %s answer with %s.", address, answer.Status)}
	}
	return nil
}

// awaitBeat waits for the next beat of the leader's lease.
func (a *app) awaitBeat(ctx context.Context, s *store.Store) error {
	before, err := s.Lease(ctx)
	if err != nil {
		return err
	}
	for end := a.Clock.Now().Add(beatPatience); a.Clock.Now().Before(end); {
		if err := a.Clock.Sleep(ctx, beatEvery); err != nil {
			return err
		}
		now, err := s.Lease(ctx)
		if err != nil || now != before {
			return err
		}
	}
	return diag.Finding{Summary: "The server does not answer", Detail: fmt.Sprintf("It has given no sign of life for %s, which is well only with a --lease of more than four times that.", beatPatience)}
}
