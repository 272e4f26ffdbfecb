package engine

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"damson/internal/run"
	"damson/internal/store"
)

// ErrInterrupted is the cause that running work sees when its process is asked to end. Work that ends with it has not failed.
var ErrInterrupted = errors.New("interrupted")

// Loop drives runs of any number of lanes. All of it belongs to the goroutine that calls its methods, but for what says
// otherwise: executions speak to it through done and lines only.
type Loop struct {
	*Engine
	o        LoopOptions
	crew     Crew
	lanes    []*Lane // in the order of their classes
	book     map[string]*runState
	ready    readyQueue
	usage    usage
	unsettle []place // task runs whose decision may have changed
	outbox
	under   map[*execution]bool
	order   int // executions that were taken so far
	local   int // of those under way, those that end by themselves in this process
	alarms  *alarms
	lines   *lineBuffer
	done    chan ended
	now     time.Time
	stopped error // why no more work starts: ErrInterrupted, or the store's or ledger's error
	broken  bool  // the store does not take changes
	quit    chan struct{}
	asking  sync.WaitGroup // questions to the ledger
}

// LoopOptions say for whom a loop works; the zero value is for a command that drives one plan.
type LoopOptions struct {
	Crew Crew // nil: workers in this process, Options.Parallel of them
	// Serves is for a loop that goes on: it waits for a store or a warehouse that is away, and for a past that has failed.
	Serves bool
	// Fence gives the token that every batch carries; nil = none.
	Fence func() int64
	// Pools gives the slots of a pool; nil = no pool has a bound.
	Pools func(name string) int
	// Wrote reports whether a write of a table is to be recorded; nil = as Options.Datasets says.
	Wrote func(table string) bool
	// Paused reports whether a pipeline starts nothing by itself; nil = none is.
	Paused func(pipeline string) bool
	// Stray takes lines of tasks that go on when the loop is closed; nil = they are lost.
	Stray func(line run.LogLine)
	// Ended is told of each run that ends, before that is recorded: what it adds to the Batch is recorded with it.
	Ended func(r run.Run)
}

// Class orders the work of lanes: what somebody waits for comes first.
type Class int

const (
	Manual Class = iota
	Scheduled
	CatchUp
	Backfill
)

// Lane is a queue of runs with bounds of their own.
type Lane struct {
	LaneOptions
	loop     *Loop
	runs     []*runState // of a lane that keeps: all; else those that have not ended
	groups   []*group    // to be opened
	active   int         // groups opened and not ended
	working  int         // executions
	waiting  int         // ready units
	progress Progress
	report   Report
}

// LaneOptions are a lane's bounds.
type LaneOptions struct {
	Name          string // in reasons: "pipeline geolife", "backfill 7"
	Class         Class
	MaxActiveRuns int  // groups of runs under way; 0 = no bound
	Parallel      int  // executions at a time; 0 = no bound
	keeps         bool // runs stay when they have ended, for a report
}

// limit bounds the groups under way.
func (l *Lane) limit() int {
	if l.MaxActiveRuns <= 0 {
		return math.MaxInt
	}
	return l.MaxActiveRuns
}

// usage counts what is under way against the bounds that lanes share.
type usage struct {
	pipelines map[string]int
	pools     map[string]int
}

// outbox is what has been decided and is not in the store yet, and what follows once it is.
type outbox struct {
	batch  store.Batch
	events []Event
	starts []*execution
}

// runState is a run and its task runs.
type runState struct {
	run.Run
	lane     *Lane
	flow     *flow
	nodes    []*node // the flow's, then those of mapped items
	cells    []cell  // by node
	open     int     // selected task runs that have not ended
	fresh    bool    // made by this plan
	left     bool    // not driven: it stays as it is
	opened   bool
	held     bool // it is being changed by hand: it does not end in the middle of that
	timedOut bool
	limit    *alarm // its time-out
	group    *group
	position int       // in its group
	past     *runState // the run before, nil when there is none or no task asks
	future   *runState // the driven run whose past it is
}

// state gives the state of a task's run by name, "" when there is none.
func (r *runState) state(name string) run.State {
	if i, ok := r.flow.place[name]; ok {
		return r.cells[i].State
	}
	return ""
}

// cell is one task run.
type cell struct {
	run.TaskRun
	present bool       // in the store
	alone   bool       // not (or no more) executed together with other intervals
	taken   int        // the next attempt comes after this one as well: see passOver
	kids    int        // of a mapped task: items whose task runs have not ended
	x       *execution // what executes it now
	tally   run.Tally
}

// place is a task in a run.
type place struct {
	r *runState
	i int
}

// ended is an execution and what it came to.
type ended struct {
	x *execution
	e Ended
}

// newLoop makes a loop without lanes.
func (e *Engine) newLoop(o LoopOptions) *Loop {
	l := &Loop{Engine: e, o: o, crew: o.Crew, book: map[string]*runState{}, under: map[*execution]bool{}, alarms: newAlarms(e.clock),
		lines: &lineBuffer{written: make(chan struct{}, 1)}, done: make(chan ended, 16), quit: make(chan struct{}),
		usage: usage{pipelines: map[string]int{}, pools: map[string]int{}}, now: e.clock.Now()}
	if l.crew == nil {
		l.crew = &localCrew{engine: e, slots: e.opts.Parallel}
	}
	return l
}

// NewLoop makes a loop for a scheduler.
func (e *Engine) NewLoop(o LoopOptions) *Loop { return e.newLoop(o) }

// AddLane adds a lane after those of its class.
func (l *Loop) AddLane(o LaneOptions) *Lane {
	lane := &Lane{LaneOptions: o, loop: l}
	at := len(l.lanes)
	for at > 0 && l.lanes[at-1].Class > o.Class {
		at--
	}
	l.lanes = append(l.lanes, nil)
	copy(l.lanes[at+1:], l.lanes[at:])
	l.lanes[at] = lane
	return lane
}

// Remove ends the use of a lane that is idle.
func (l *Loop) Remove(lane *Lane) {
	for i, other := range l.lanes {
		if other == lane {
			l.lanes = append(l.lanes[:i], l.lanes[i+1:]...)
			return
		}
	}
}

// Reorder puts the lane where its class, which may be changed by its owner, belongs.
func (l *Loop) Reorder(lane *Lane, class Class) {
	if lane.Class == class {
		return
	}
	lane.Class = class
	slices.SortStableFunc(l.lanes, func(a, b *Lane) int { return cmp.Compare(a.Class, b.Class) })
}

// paused reports whether the lane's work waits because its pipeline is paused: what a person asked for does not.
func (l *Lane) paused(pipeline string) bool {
	return l.Class != Manual && l.Class != Backfill && l.loop.o.Paused != nil && l.loop.o.Paused(pipeline)
}

// Idle reports whether nothing of the lane is open.
func (l *Lane) Idle() bool { return l.active == 0 && len(l.groups) == 0 }

// Pending is how many runs of the lane have not been opened.
func (l *Lane) Pending() (n int) {
	for _, g := range l.groups {
		n += len(g.runs)
	}
	return n
}

// localCrew are workers of this process.
type localCrew struct {
	engine  *Engine
	slots   int
	busy    int
	workers sync.WaitGroup
}
