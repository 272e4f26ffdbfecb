package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"damson/internal/pipeline"
	"damson/internal/run"
)

// errInterrupted is the cause that running work sees when the engine is asked to end.
var errInterrupted = errors.New("interrupted")

// drive is one call of Engine.Run. All of it belongs to the goroutine of loop, but for what says otherwise: executions
// speak to it through done and lines only.
type drive struct {
	*Engine
	plan   Plan
	nodes  []*node
	runs   []*runState // of the plan's intervals, in time order
	groups []*group    // of the runs to be driven
	occupancy
	ready    readyQueue
	unsettle []place // task runs whose decision may have changed
	outbox
	under    map[*execution]bool
	alarms   *alarms
	lines    *lineBuffer
	done     chan *execution
	workers  sync.WaitGroup
	now      time.Time
	stopped  error // why no more work starts: errInterrupted, or the store's or ledger's error
	broken   bool  // the store does not take changes
	progress Progress
	report   Report
}

// occupancy is how much is under way, and how much may be.
type occupancy struct {
	opened  int // groups of runs so far
	active  int // groups opened and not ended
	limit   int // bound of active
	working int // executions
	slots   int // bound of working
}

// outbox is what has been decided and is not in the store yet, and what follows once it is.
type outbox struct {
	changes []run.Change
	events  []Event
	starts  []*execution
}

// node is a task of the pipeline and its place in the order.
type node struct {
	task     *pipeline.Task
	index    int
	selected bool
	batch    bool
	up, down []int // nearest selected tasks before and after
	children []int // directly after it, selected or not
}

// runState is a run and its task runs.
type runState struct {
	run.Run
	index    int
	cells    []cell // by node
	open     int    // selected task runs that have not ended
	fresh    bool   // made by this plan
	left     bool   // not driven: it stays as it is
	opened   bool
	timedOut bool
	group    *group
	position int       // in its group
	past     *runState // the run before, nil when there is none or no task asks
	future   *runState // the driven run whose past it is
}

// cell is one task run.
type cell struct {
	run.TaskRun
	present bool // in the store
	alone   bool // not (or no more) executed together with other intervals
	taken   int  // the next attempt comes after this one as well: see passOver
	tally   run.Tally
}

// place is a task in a run.
type place struct {
	r *runState
	i int
}

// Run drives the plan's runs to their end and reports on them. It returns when all have ended, when ctx has ended (running
// work is then cancelled and waits to be resumed), or when the store or the ledger does not answer: the error says so, and
// the same plan continues later. That tasks failed is not an error: see Report.
func (e *Engine) Run(ctx context.Context, plan Plan) (Report, error) {
	d, err := e.prepare(plan)
	if err != nil {
		return Report{}, err
	}
	d.report.Started = d.clock.Now()
	d.now = d.report.Started
	if err := d.load(ctx); err != nil {
		if ctx.Err() == nil {
			return d.finish(), err
		}
		d.stopped = errInterrupted
		return d.finish(), nil
	}
	defer d.alarms.stop()
	err = d.loop(ctx)
	return d.finish(), err
}

// loop decides, records, starts and waits until nothing is left to do.
func (d *drive) loop(ctx context.Context) error {
	defer d.workers.Wait()
	background := context.WithoutCancel(ctx)
	for {
		if d.stopped == nil {
			d.dispatch()
		}
		if err := d.record(background); err != nil {
			d.broken = true
			d.stop(err)
			d.starts = nil
		}
		for _, x := range d.starts {
			d.start(background, x)
		}
		d.starts = nil
		if d.working == 0 {
			if d.stopped != nil {
				return d.wind(background)
			}
			if d.active == 0 && d.opened == len(d.groups) {
				return nil
			}
			if d.alarms.none() {
				panic(fmt.Sprintf("engine: %d groups of runs are open and nothing can happen", d.active))
			}
		}
		d.wait(ctx)
	}
}

// wait blocks until something happened and takes it in.
func (d *drive) wait(ctx context.Context) {
	interrupt := ctx.Done()
	if d.stopped != nil {
		interrupt = nil
	}
	d.alarms.arm()
	select {
	case x := <-d.done:
		d.now = d.clock.Now()
		d.complete(x)
	case <-d.alarms.wake:
		d.alarms.stop()
		d.now = d.clock.Now()
	case <-d.lines.written:
		d.now = d.clock.Now()
		d.alarms.set(d.now.Add(time.Second), func() { d.lines.due = true })
	case <-interrupt:
		d.now = d.clock.Now()
		d.stop(errInterrupted)
	}
	for more := true; more; {
		select {
		case x := <-d.done:
			d.complete(x)
		default:
			more = false
		}
	}
	d.alarms.ring(d.now)
	d.settle()
}

// stop lets nothing more start and cancels what runs.
func (d *drive) stop(why error) {
	if d.stopped == nil || errors.Is(d.stopped, errInterrupted) {
		d.stopped = why
	}
	for x := range d.under {
		x.cancel(errInterrupted)
	}
}

// wind leaves what waited for a worker in a state that tells so, and gives the error that the drive ends with.
func (d *drive) wind(ctx context.Context) error {
	if d.broken {
		return d.stopped
	}
	for _, r := range d.runs {
		for i := range r.cells {
			if r.opened && r.cells[i].State == run.Queued && d.nodes[i].selected {
				d.move(r, i, run.EventInterrupted, "interrupted before it started")
			}
		}
	}
	if err := d.record(ctx); err != nil || errors.Is(d.stopped, errInterrupted) {
		return err
	}
	return d.stopped
}

// dispatch gives free workers what is ready, and opens further runs while there is nothing ready for them.
func (d *drive) dispatch() {
	for d.working+len(d.starts) < d.slots {
		if u, ok := d.ready.pop(); ok {
			d.claim(u)
		} else if !d.openNext() {
			return
		}
	}
}

// openNext opens the next group of runs, if the pipeline's bound allows.
func (d *drive) openNext() bool {
	if d.opened == len(d.groups) || d.active >= d.limit {
		return false
	}
	g := d.groups[d.opened]
	d.opened++
	d.active++
	g.open = len(g.runs)
	for _, r := range g.runs {
		d.open(r)
	}
	for i := range d.nodes {
		d.release(g, i)
	}
	d.settle()
	return true
}

// open puts a run in motion: what waits is decided, what was ready or waited for a retry goes on.
func (d *drive) open(r *runState) {
	r.opened = true
	if r.State == run.Queued {
		d.moveRun(r, run.EventStarted, "")
	}
	if limit := d.plan.Pipeline.RunTimeout; limit > 0 {
		limit *= time.Duration(len(r.group.runs))
		d.alarms.set(d.now.Add(limit), func() { d.timeOutRun(r, limit) })
	}
	for i, n := range d.nodes {
		c := &r.cells[i]
		if !n.selected || c.State.Ended() {
			continue
		}
		holds := c.tally.Verdict(rule(n)) == run.VerdictRun && d.pastOf(r, i).Verdict == run.VerdictRun
		switch {
		case c.State != run.Scheduled && !holds:
			d.move(r, i, run.EventInterrupted, "a task before it was cleared")
			d.unsettle = append(d.unsettle, place{r, i})
		case c.State == run.Queued:
			d.enqueue(r, i)
		case c.State == run.UpForRetry:
			c.alone = true
			d.retryAt(r, i, c.NotBefore)
		default:
			d.unsettle = append(d.unsettle, place{r, i})
		}
	}
	if r.open == 0 {
		d.endRun(r)
	}
}

// bounds sets the limits of runs and executions under way.
func (d *drive) bounds() {
	p := d.plan.Pipeline
	d.limit = p.MaxActiveRuns
	if d.plan.MaxActiveRuns != 0 {
		d.limit = d.plan.MaxActiveRuns
	}
	if d.limit <= 0 {
		d.limit = math.MaxInt
	}
	d.slots = d.opts.Parallel
	if p.MaxActiveTasks > 0 {
		d.slots = min(d.slots, p.MaxActiveTasks)
	}
}
