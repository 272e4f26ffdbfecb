package scheduler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/store"
)

// leader is the time that a process holds the lease. All of it belongs to one goroutine.
type leader struct {
	*Service
	lease     store.Lease
	wake      chan struct{}
	drained   atomic.Bool // work under way has had its time
	loop      *engine.Loop
	crew      *crew
	catalogue *Catalogue
	pipelines map[string]*track
	tracks    []*track // the same, by name
	backfills map[string]*backfill
	retired   []*engine.Lane // of backfills that are over, until they are idle
	done      map[int64]bool // messages whose effect is recorded, or will be with the next record
	counting  bool           // the census is not complete
	watched   []string       // datasets that a pipeline waits for
	updated   bool           // one of them was written
	due       time.Time      // when the next look at processes, reasons and deadlines is due
	recorded  map[string]string
	stuck     map[string]string    // why runs cannot go on whose version is not to be had, by run
	told      map[string]bool      // runs whose deadline was told of
	cleaning  time.Time            // when the next look at what nobody reads is due
	unread    map[string]time.Time // since when messages are seen to wait for somebody who is not there
}

// track is a pipeline as the leader follows it.
type track struct {
	store.PipelineState
	pipeline *pipeline.Pipeline    // nil: the project has it no more
	lane     *engine.Lane          // of runs by schedule
	byHand   *engine.Lane          // of runs that a person or a task asked for; nil = none was
	next     time.Time             // when its next interval is due; zero = never
	pending  []store.DatasetUpdate // written and not run for yet
	lastSeen int64                 // the latest that it has looked at
}

// lead leads until ctx ends (nil), the lease is lost, or something unexpected happens.
func (s *Service) lead(ctx context.Context, lease store.Lease) (err error) {
	hard, cancel := context.WithCancelCause(s.ended)
	defer cancel(nil)
	l := &leader{Service: s, lease: lease, wake: make(chan struct{}, 1), pipelines: map[string]*track{}, backfills: map[string]*backfill{},
		done: map[int64]bool{}, recorded: map[string]string{}, stuck: map[string]string{}, told: map[string]bool{}, unread: map[string]time.Time{}}
	mail, err := s.store.Wake(hard)
	if err != nil {
		return err
	}
	s.running.Go(func() { l.gather(ctx, hard, mail, cancel) })
	l.crew = &crew{Service: s, lease: func() store.Lease { return l.lease }, leads: hard, members: map[string]*member{}}
	e := engine.New(s.store, s.shop.books(), nil, s.clock, engine.Options{Seed: s.o.Seed})
	l.loop = e.NewLoop(engine.LoopOptions{Crew: l.crew, Serves: true, Fence: func() int64 { return lease.Token }, Pools: l.pool,
		Paused: l.paused, Wrote: l.wrote, Ended: l.runEnded, Stray: s.shop.strays.take})
	defer s.shop.handOver()
	defer l.loop.Close()
	s.running.Go(func() { s.beatLease(hard, lease, cancel) })
	s.log.Info("this process leads", "process", s.o.ID, "token", lease.Token)
	if s.o.Led != nil {
		s.o.Led()
	}
	if err := l.begin(hard); err != nil {
		return err
	}
	if err := l.serve(ctx, hard); err != nil {
		return err
	}
	return s.store.Resign(s.ended, lease)
}

// beatLease shows that the leader lives, and ends its work when it leads no more.
func (s *Service) beatLease(ctx context.Context, l store.Lease, lost func(error)) {
	for s.clock.Sleep(ctx, s.o.Lease/4) == nil {
		next, err := s.store.BeatLease(ctx, l)
		if errors.Is(err, store.ErrDeposed) {
			lost(err)
			return
		}
		if err == nil {
			l = next
		}
	}
}

// serve takes step after step. When ctx ends it drains: nothing more starts, and what runs in this process has some time to
// end; what runs in others goes on for the next leader.
func (l *leader) serve(ctx, hard context.Context) error {
	steady := context.WithoutCancel(hard)
	draining := false
	for {
		if hard.Err() != nil {
			return context.Cause(hard)
		}
		if !draining {
			if err := l.look(hard); err != nil {
				return err
			}
		}
		idle, err := l.loop.Step(hard)
		if err != nil {
			return err
		}
		clear(l.done) // they are deleted
		l.crew.recorded()
		switch {
		case draining && idle:
			return nil
		case ctx.Err() != nil && !draining:
			draining = true
			l.loop.Drain()
			continue
		case l.drained.Load():
			l.loop.Stop(engine.ErrInterrupted)
		}
		next := l.nextTime()
		if draining {
			next = time.Time{}
		}
		l.loop.Wait(steady, l.wake, next)
	}
}

// grace is how long a leader that is asked to end waits for a store that is away.
const grace = 10 * time.Second

// gather signals whatever the leader waits for beside its loop.
func (l *leader) gather(soft, hard context.Context, mail <-chan struct{}, give func(error)) {
	over, changed := soft.Done(), l.projects.Changed()
	poke := func() {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	for {
		select {
		case <-over:
			over = nil
			l.running.Go(func() {
				if l.o.Drain > 0 && l.clock.Sleep(hard, l.o.Drain) != nil {
					return
				}
				l.drained.Store(true)
				poke()
				if l.clock.Sleep(hard, grace) == nil {
					give(errors.New("the process was asked to end, and what it executes or its store does not"))
				}
			})
		case _, open := <-mail:
			if !open {
				mail = nil
			}
		case <-changed:
		case <-hard.Done():
			poke()
			return
		}
		poke()
	}
}

// begin brings the leader to where the store says things stand, and asks all processes what they execute.
func (l *leader) begin(ctx context.Context) error {
	states, err := l.store.PipelineStates(ctx)
	if err != nil {
		return err
	}
	for _, s := range states {
		l.follow(s.Name).PipelineState = s
	}
	l.takeProject()
	if err := l.remember(ctx); err != nil {
		return err
	}
	_, come, err := l.crew.refresh(ctx, l.loop.Now())
	if err != nil {
		return err
	}
	if err := l.readBackfills(ctx); err != nil {
		return err
	}
	if err := l.readOpen(ctx); err != nil {
		return err
	}
	l.counting = true
	for _, id := range come {
		l.ask(id)
	}
	return l.loop.Record(ctx)
}

// remember takes in what earlier leaders have said, so that it is neither said again nor left standing.
func (l *leader) remember(ctx context.Context) error {
	reasons, err := l.store.StandingReasons(ctx)
	if err != nil {
		return err
	}
	for _, r := range reasons {
		l.recorded[r.Subject] = r.Text
	}
	alerts, err := l.store.Alerts(ctx, 1000)
	if err != nil {
		return err
	}
	for _, a := range alerts {
		if a.Kind == "deadline" {
			l.told[a.RunID] = true
		}
	}
	return nil
}

// readOpen gives the runs that have not ended to their lanes, each in the version of its pipeline that it runs.
func (l *leader) readOpen(ctx context.Context) error {
	open, err := l.store.Runs(ctx, store.RunFilter{States: []run.State{run.Queued, run.Running}})
	if err != nil {
		return err
	}
	return l.readmit(ctx, open, "", true)
}

// readmit gives runs that are there to lanes: those of open backfills to theirs, the others to their pipeline's. version ""
// leaves each its own.
func (l *leader) readmit(ctx context.Context, runs []run.Run, version string, restart bool) error {
	type part struct{ pipeline, version, tasks, backfill string }
	parts := map[part][]run.Run{}
	var order []part
	for chunk := range slices.Chunk(runs, 500) {
		tasks, err := l.tasksOf(ctx, chunk)
		if err != nil {
			return err
		}
		for _, r := range chunk {
			p := part{pipeline: r.Pipeline, version: cmp.Or(version, r.Version), tasks: strings.Join(tasks[r.ID], "\x00")}
			if b := l.backfillOf(r); b != nil && restart {
				p.backfill = b.ID
			}
			delete(l.stuck, r.ID)
			if parts[p] == nil {
				order = append(order, p)
			}
			parts[p] = append(parts[p], r)
		}
	}
	for _, p := range order {
		t := l.follow(p.pipeline)
		def, err := l.definition(ctx, p.pipeline, p.version)
		if err != nil {
			l.unknown(parts[p], err)
			continue
		}
		plan := engine.Plan{Pipeline: def, Tasks: present(def, p.tasks), Batch: batch}
		lane := l.laneByHand(t)
		switch {
		case p.backfill != "":
			b := l.backfills[p.backfill]
			lane, plan.Batch = b.lane, b.Batch
		case restart:
			lane = t.lane
		}
		zone := location(def)
		for _, r := range parts[p] {
			plan.Intervals = append(plan.Intervals, run.Interval{Start: r.Start.In(zone), End: r.End.In(zone)})
		}
		slices.SortFunc(plan.Intervals, func(a, b run.Interval) int { return a.Start.Compare(b.Start) })
		if err := l.loop.Admit(ctx, lane, plan); err != nil {
			return err
		}
	}
	return nil
}

// batch is how many adjacent runs are opened together where tasks allow it.
const batch = 366

// tasksOf lists the tasks that runs have, by run.
func (l *leader) tasksOf(ctx context.Context, runs []run.Run) (map[string][]string, error) {
	ids := make([]string, len(runs))
	for i, r := range runs {
		ids[i] = r.ID
	}
	all, err := l.store.TaskRuns(ctx, ids...)
	if err != nil {
		return nil, err
	}
	tasks := map[string][]string{}
	for _, t := range all {
		if name := engine.MappedTask(t.Task); name == t.Task && t.State != run.Removed {
			tasks[t.RunID] = append(tasks[t.RunID], name)
		}
	}
	return tasks, nil
}

// present gives the tasks of a run as a plan names them: none when they are all that the pipeline has.
func present(p *pipeline.Pipeline, joined string) []string {
	have := strings.Split(joined, "\x00")
	var names []string
	for _, name := range p.TaskNames() {
		if slices.Contains(have, name) {
			names = append(names, name)
		}
	}
	if len(names) == len(p.Tasks) {
		return nil
	}
	return names
}

// definition gives a pipeline in a version, the present one when that is the same.
func (l *leader) definition(ctx context.Context, name, version string) (*pipeline.Pipeline, error) {
	if t := l.pipelines[name]; t != nil && t.pipeline != nil && (version == "" || t.pipeline.Version == version) {
		return t.pipeline, nil
	}
	p, _, err := l.projects.Find(ctx, name, version)
	return p, err
}

// unknown tells of runs that cannot go on because their version of the project is not to be had.
func (l *leader) unknown(runs []run.Run, err error) {
	b := l.loop.Batch()
	for _, r := range runs {
		text := fmt.Sprintf("version %s of pipeline %s cannot be read: %v", r.Version, r.Pipeline, err)
		l.stuck[r.ID] = text
		if l.recorded[r.ID] != text {
			b.Alerts = append(b.Alerts, store.Alert{At: l.clock.Now(), Pipeline: r.Pipeline, RunID: r.ID, Kind: "project", Text: text})
		}
	}
}

// follow gives a pipeline its track and lane.
func (l *leader) follow(name string) *track {
	t := l.pipelines[name]
	if t == nil {
		t = &track{PipelineState: store.PipelineState{Name: name}}
		t.lane = l.loop.AddLane(engine.LaneOptions{Name: "pipeline " + name, Class: engine.Scheduled})
		l.pipelines[name] = t
		at, _ := slices.BinarySearchFunc(l.tracks, name, func(t *track, name string) int { return cmp.Compare(t.Name, name) })
		l.tracks = slices.Insert(l.tracks, at, t)
	}
	return t
}

// laneByHand is the lane of what a person or a task asked for.
func (l *leader) laneByHand(t *track) *engine.Lane {
	if t.byHand == nil {
		t.byHand = l.loop.AddLane(engine.LaneOptions{Name: "pipeline " + t.Name + ", by hand", Class: engine.Manual})
	}
	t.byHand.MaxActiveRuns = t.lane.MaxActiveRuns
	return t.byHand
}

// takeProject follows the present version of the project.
func (l *leader) takeProject() {
	l.catalogue = l.projects.Current()
	l.due = l.clock.Now().Add(tick) // what is due now is scheduled before it is explained
	present := map[string]bool{}
	l.watched = nil
	for _, p := range l.catalogue.Pipelines {
		t := l.follow(p.Name)
		t.pipeline, t.next, present[p.Name] = p, l.loop.Now(), true
		t.lane.MaxActiveRuns = p.MaxActiveRuns
		for _, d := range p.On {
			if !slices.Contains(l.watched, d) {
				l.watched = append(l.watched, d)
			}
		}
	}
	for _, t := range l.tracks {
		if !present[t.Name] {
			t.pipeline, t.next = nil, time.Time{}
		}
	}
	l.updated = len(l.watched) > 0
}

// location is a pipeline's time zone, in which its runs are named.
func location(p *pipeline.Pipeline) *time.Location {
	zone, err := time.LoadLocation(p.Timezone)
	if err != nil {
		return time.UTC // validation has refused it; what was made before goes on
	}
	return zone
}

func (l *leader) pool(name string) int {
	if n, ok := l.catalogue.Pools[name]; ok {
		return n
	}
	return 1 // of an earlier version of the project: the least that lets its runs end
}

func (l *leader) paused(name string) bool {
	return l.pipelines[name] != nil && l.pipelines[name].Paused
}

// wrote reports whether a pipeline waits for a table that was written.
func (l *leader) wrote(table string) bool {
	waited := slices.Contains(l.watched, table)
	l.updated = l.updated || waited
	return waited
}

// runEnded raises an alert for a run that failed.
func (l *leader) runEnded(r run.Run) {
	delete(l.told, r.ID)
	if t := l.pipelines[r.Pipeline]; t != nil && len(t.pending) > 0 { // it may be due again
		l.updated = true
	}
	if r.State == run.Failed {
		l.log.Warn("a run failed", "run", r.ID, "reason", r.Reason)
		l.loop.Batch().Alerts = append(l.loop.Batch().Alerts, store.Alert{At: l.loop.Now(), Pipeline: r.Pipeline, RunID: r.ID, Kind: "failed", Text: r.Reason})
		return
	}
	l.log.Info("a run has ended", "run", r.ID, "state", string(r.State), "took", r.Ended.Sub(r.Started).String())
}

// refused makes an error an answer.
func refused(err error) Answer {
	f := diag.AsFinding("The request failed", err)
	return Answer{Error: &f}
}
