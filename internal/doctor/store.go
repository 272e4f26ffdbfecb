package doctor

import (
	"context"
	"fmt"
	"time"
)

// Store is what was found of the store.
type Store struct {
	Place      string // file, or database and server
	Absent     bool   // it has not been made yet
	Has, Knows int    // versions of its schema: as it is, and as this program makes it
	Server     *StoreServer
}

// StoreServer is what the server of a shared store says.
type StoreServer struct {
	Place      string
	Version    string
	TooOld     bool
	ReadOnly   bool
	Schema     bool          // the store's schema is there
	MayMake    bool          // the user may make it, or, when it is there, tables in it
	Ahead      time.Duration // how far the server's clock is ahead of this machine's
	Doubt      time.Duration // by how much that may be wrong
	Free, Uses int           // connections left, and that a process of Damson uses
}

func judgeStore(s Store) []Check {
	if v := s.Server; v != nil {
		switch {
		case v.TooOld:
			return []Check{{Status: Problem, What: "the store's PostgreSQL is too old", Why: fmt.Sprintf("%s is %s; Damson needs 13 or later.", v.Place, v.Version),
				Fix: "Upgrade the server, or name another in --store."}}
		case v.ReadOnly:
			return []Check{{Status: Problem, What: "the store cannot be written", Why: v.Place + " is read-only, as a standby is.",
				Fix: "Name the primary server in --store (with several hosts: target_session_attrs=read-write)."}}
		case !v.MayMake:
			return []Check{{Status: Problem, What: "the store's user has too few rights", Why: fmt.Sprintf("It may not make what is missing in %s.", v.Place),
				Fix: "As the database's owner: GRANT CREATE ON DATABASE … TO …; or CREATE SCHEMA damson_store AUTHORIZATION …;"}}
		}
	}
	switch {
	case s.Absent:
		return ok("the first run makes %s", s.Place)
	case s.Has > s.Knows:
		return []Check{{Status: Problem, What: "the store is newer than this program", Why: fmt.Sprintf("Its schema has version %d; this Damson knows versions up to %d.", s.Has, s.Knows),
			Fix: "Use the Damson that wrote it, or a later one."}}
	case s.Has < s.Knows:
		return []Check{{Status: Warning, What: "the store is of an older Damson", Why: fmt.Sprintf("The next command brings its schema from version %d to %d; an older Damson then refuses it.", s.Has, s.Knows),
			Fix: "Have all processes of the project use the same Damson."}}
	}
	return ok("%s", s.Place)
}

func judgeStoreConnections(v StoreServer) []Check {
	c := Check{Status: Warning, What: fmt.Sprintf("%d connections are free", max(v.Free, 0)),
		Why: fmt.Sprintf("A process of Damson uses up to %d of the store's server.", v.Uses), Fix: "Stop what holds connections, or raise max_connections on the server."}
	switch {
	case v.Free >= v.Uses:
		return ok("%d free, a process uses up to %d", v.Free, v.Uses)
	case v.Free < 1:
		c.Status = Problem
	}
	return []Check{c}
}

// Leader is the process that leads the project.
type Leader struct {
	Name    string // process 4711 on host-a
	Address string // of its pages; "" = none
	Version string
	Own     string // the version of this program
	Silent  error  // why it is doubted that it lives
}

// judgeLeader judges a running server; nil means that none runs.
func judgeLeader(l *Leader, byClock bool) []Check {
	switch {
	case l == nil && byClock:
		return ok("none runs; schedules need one: damson serve")
	case l == nil:
		return ok("none runs")
	case l.Silent != nil:
		c := found(Warning, "the server does not answer", l.Silent)
		c.What = "the server does not answer"
		c.Why = fmt.Sprintf("%s leads the project. %s", upper(l.Name), c.Why)
		if c.Fix == "" {
			c.Fix = "Look at its log. When it is dead, another takes over by itself, or `damson serve` does."
		}
		return []Check{c}
	case l.Version != l.Own:
		return []Check{{Status: Warning, What: "the server is of another version", Why: fmt.Sprintf("%s is Damson %s, and this one is %s.", upper(l.Name), l.Version, l.Own),
			Fix: "Start the server again with this Damson, or use that one."}}
	case l.Address != "":
		return ok("%s at %s", l.Name, l.Address)
	}
	return ok("%s", l.Name)
}

// storeSteps look at the store and at who works on it.
func (p *Patient) storeSteps(ctx context.Context) []Check {
	const area = "store"
	opening := step{area: area, name: "store"}
	server := step{area, "server", reachPatience, func(ctx context.Context) ([]Check, error) {
		l, err := p.Leader(ctx)
		if err != nil {
			return nil, err
		}
		return judgeLeader(l, p.needs.ToClock), nil
	}}
	s, err := within(ctx, reachPatience, p.Store)
	checks := judgeStore(s)
	if err != nil {
		checks = []Check{found(Problem, "the store cannot be opened", err)}
	}
	opening.named(checks)
	if checks[0].Status == Problem {
		return append(checks, notChecked([]step{server}, "The store could not be opened.")...)
	}
	steps := []step{}
	if v := s.Server; v != nil {
		steps = append(steps,
			step{area, "clock", 0, func(context.Context) ([]Check, error) { return judgeClock(drift{v.Ahead, v.Doubt}), nil }},
			step{area, "connections", 0, func(context.Context) ([]Check, error) { return judgeStoreConnections(*v), nil }})
	}
	checks = append(checks, take(ctx, width, steps)...)
	switch {
	case s.Absent:
		return append(checks, server.named(judgeLeader(nil, p.needs.ToClock))...)
	case s.Has != s.Knows: // opening it would bring it to this version
		return append(checks, notChecked([]step{server}, "The store is not of this version.")...)
	}
	return append(checks, server.run(ctx)...)
}
