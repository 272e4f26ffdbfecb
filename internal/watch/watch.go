// Package watch keeps the last good version of a project available while people edit it. Watcher notices that files have
// changed and loads them; Versions keeps the files of each version that a run was made with, and gives the project as it
// was then.
//
// The package decides nothing about runs. It refuses to hand out a project with errors: their findings are reported, and
// who holds a project goes on with it.
//
// Invariants:
//
//  1. A scan of the files is the only judge of whether something changed. Events of the file system say when to scan, no
//     more: a lost event costs time, never a change.
//  2. Between two scans that agree nobody has written: a file is never loaded while an editor is still at it, unless it
//     writes for longer than a second.
//  3. A version is a hash over names and contents of the files. What was unpacked is loaded only when it has that hash.
//  4. A snapshot holds only regular files, and none outside the directory it is unpacked to.
package watch

import (
	"context"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"

	"damson/internal/clock"
	"damson/internal/diag"
	"damson/internal/project"
)

// Change is what the files have become.
type Change struct {
	// Project is nil when the files have errors: the one before stays.
	Project *project.Project
	// Findings are warnings, and errors when Project is nil.
	Findings diag.Findings
}

// Options tune a Watcher; the zero value is good.
type Options struct {
	Clock    clock.Clock   // nil is the machine's
	Settle   time.Duration // files rest for so long before they are loaded; 0 is 100 ms
	Poll     time.Duration // between two scans without events; 0 is 500 ms. Where scans take long, they are rarer.
	NoEvents bool          // poll only
}

// Watcher notices changes of a project's files. Loading happens in Run, so never twice at a time; what changes meanwhile is
// one change afterwards.
type Watcher struct {
	dir     string
	load    func() (*project.Project, diag.Findings)
	opts    Options
	changes chan Change
	wake    chan struct{} // one pending scan is enough
	period  atomic.Int64  // between two polls, in nanoseconds
	seen    files         // as of the last load
	events  *fsnotify.Watcher
}

// New notes the present files of dir. Make the Watcher before you load the project: what changes after New is reported.
func New(dir string, load func() (*project.Project, diag.Findings), opts Options) *Watcher {
	if opts.Clock == nil {
		opts.Clock = clock.System{}
	}
	if opts.Settle <= 0 {
		opts.Settle = 100 * time.Millisecond
	}
	if opts.Poll <= 0 {
		opts.Poll = 500 * time.Millisecond
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	w := &Watcher{dir: dir, load: load, opts: opts, changes: make(chan Change), wake: make(chan struct{}, 1)}
	w.seen, _ = w.scan(nil)
	return w
}

// Changes gives each change once. When nobody receives, a newer one takes the place of an older. It is closed when Run ends.
func (w *Watcher) Changes() <-chan Change { return w.changes }

// Run watches until ctx ends; it is called once. Where the file system tells no events, or the machine has no more of them
// to give, it polls.
func (w *Watcher) Run(ctx context.Context) {
	var helpers sync.WaitGroup
	defer close(w.changes)
	defer helpers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !w.opts.NoEvents {
		if events, err := fsnotify.NewWatcher(); err == nil {
			w.events = events
			defer events.Close()
			helpers.Go(func() { w.listen(ctx, events) })
		}
	}
	helpers.Go(func() {
		for w.opts.Clock.Sleep(ctx, time.Duration(w.period.Load())) == nil {
			w.nudge()
		}
	})
	w.nudge() // for what changed since New
	var pending Change
	var out chan Change // nil while there is nothing to deliver
	for {
		select {
		case <-ctx.Done():
			return
		case out <- pending:
			pending, out = Change{}, nil
		case <-w.wake:
			if w.changed(ctx) {
				pending, out = w.read(), w.changes
			}
		}
	}
}

// read loads the project.
func (w *Watcher) read() Change {
	p, findings := w.load()
	if findings.HasErrors() {
		return Change{Findings: findings}
	}
	return Change{Project: p, Findings: findings}
}

// changed reports whether the files are others than those loaded last, once they rest (invariant 2), and takes them as seen.
func (w *Watcher) changed(ctx context.Context) bool {
	const longest = 10 // of settling: who writes all the time is loaded all the same
	now, grew := w.scan(w.seen)
	if !grew && now.same(w.seen) {
		w.seen = now
		return false
	}
	for range longest {
		if w.opts.Clock.Sleep(ctx, w.opts.Settle) != nil {
			return false
		}
		before := now
		if now, _ = w.scan(before); now.same(before) {
			break
		}
	}
	changed := !now.same(w.seen)
	w.seen = now
	return changed
}

// scan looks at all files, and listens to directories that are new; it reports whether there were any.
func (w *Watcher) scan(before files) (now files, grew bool) {
	began := w.opts.Clock.Now()
	now, dirs := look(w.dir, before, began)
	if w.events != nil {
		grew = w.follow(dirs)
	}
	const share = 50 // scanning takes at most a fiftieth of a processor
	w.period.Store(int64(max(w.opts.Poll, share*w.opts.Clock.Now().Sub(began))))
	return now, grew
}

// follow makes the directories' events arrive. One that cannot be followed is polled only.
func (w *Watcher) follow(dirs []string) (grew bool) {
	followed := map[string]bool{}
	for _, dir := range w.events.WatchList() {
		followed[dir] = true
	}
	for _, dir := range dirs {
		if full := filepath.Join(w.dir, filepath.FromSlash(dir)); !followed[full] && w.events.Add(full) == nil {
			grew = true
		}
	}
	return grew
}

// listen turns events into scans. An error means that some were lost.
func (w *Watcher) listen(ctx context.Context, events *fsnotify.Watcher) {
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-events.Events:
			if !ok {
				return
			}
			if w.concerns(e.Name) {
				w.nudge()
			}
		case _, ok := <-events.Errors:
			if !ok {
				return
			}
			w.nudge()
		}
	}
}

// concerns leaves out what lies beside the project's folders, data that arrives there above all.
func (w *Watcher) concerns(full string) bool {
	rel, err := filepath.Rel(w.dir, full)
	if err != nil {
		return true
	}
	name := filepath.ToSlash(rel)
	if strings.Contains(name, "/") || name == "." {
		return !strings.HasPrefix(path.Base(name), ".") || name == "."
	}
	for _, folder := range folders {
		if name == folder.name {
			return true
		}
	}
	return name == project.ConfigFile
}

// nudge asks for a scan.
func (w *Watcher) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
