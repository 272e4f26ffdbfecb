package watch_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"damson/internal/clock"
	"damson/internal/diag"
	"damson/internal/project"
	"damson/internal/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const star = `p = pipeline(name = "p", schedule = "@daily", start = "2007-04-12")
p.sql("x", into = "s.t")
`

// small is a project of one task.
func small(t testing.TB) string {
	dir := t.TempDir()
	write(t, dir, map[string]string{"damson.yaml": "name: s\n", "pipelines/p.star": star, "sql/x.sql": "select 1 as n\n"})
	return dir
}

func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func remove(t testing.TB, dir, name string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
		t.Fatal(err)
	}
}

// start runs a Watcher of dir until the test ends.
func start(t testing.TB, dir string, opts watch.Options) *watch.Watcher {
	w := watch.New(dir, func() (*project.Project, diag.Findings) { return project.Load(dir, project.Options{}) }, opts)
	run(t, w)
	return w
}

func run(t testing.TB, w *watch.Watcher) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

// await receives changes until one is as wanted: a slow machine may see one edit as two.
func await(t testing.TB, w *watch.Watcher, what string, wanted func(watch.Change) bool) {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		select {
		case c := <-w.Changes():
			if wanted(c) {
				return
			}
		case <-timeout:
			t.Fatalf("no change with %s", what)
		}
	}
}

func tasks(n int) func(watch.Change) bool {
	return func(c watch.Change) bool { return c.Project != nil && len(c.Project.Pipelines[0].Tasks) == n }
}

func says(summary string) func(watch.Change) bool {
	return func(c watch.Change) bool {
		return c.Project == nil && c.Findings.HasErrors() && strings.Contains(c.Findings.Error(), summary)
	}
}

// TestWatcher edits a project in many ways, with events and without.
func TestWatcher(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]watch.Options{"events": {Poll: time.Hour}, "polls": {NoEvents: true, Poll: 20 * time.Millisecond, Settle: 5 * time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := small(t)
			w := start(t, dir, opts)
			two := star + `p.sql("y", into = "s.u")` + "\n"

			write(t, dir, map[string]string{"pipelines/p.star": two})
			await(t, w, "a missing file", says("y.sql"))

			write(t, dir, map[string]string{"sql/deep/er/y.sql": "select 2 as n\n"}) // in directories that were not there
			write(t, dir, map[string]string{"pipelines/p.star": star + `p.sql("y", file = "sql/deep/er/y.sql", into = "s.u")` + "\n"})
			await(t, w, "two tasks", tasks(2))

			write(t, dir, map[string]string{"sql/deep/er/y.sql": "select {{ nothing }} as n\n"})
			await(t, w, "a mistake in the new directory", says("nothing"))

			write(t, dir, map[string]string{"sql/deep/er/y.sql": "select 22 as n\n"})
			await(t, w, "the mistake mended", tasks(2))

			remove(t, dir, "sql/deep")
			write(t, dir, map[string]string{"pipelines/p.star": star})
			await(t, w, "one task", tasks(1))

			remove(t, dir, "damson.yaml")
			await(t, w, "no project", says("No project"))
			write(t, dir, map[string]string{"damson.yaml": "name: again\n"})
			await(t, w, "the project again", func(c watch.Change) bool { return c.Project != nil && c.Project.Name == "again" })

			full := filepath.Join(dir, "sql", "x.sql") // as many editors save
			write(t, dir, map[string]string{"sql/.x.sql.tmp": "select 3 as n\n"})
			if err := os.Rename(filepath.Join(dir, "sql", ".x.sql.tmp"), full); err != nil {
				t.Fatal(err)
			}
			await(t, w, "the renamed file", tasks(1))

			write(t, dir, map[string]string{"sql/unused.sql": "select 4 as n\n"})
			await(t, w, "a warning", func(c watch.Change) bool { return c.Project != nil && len(c.Findings) == 1 })
		})
	}
}

// TestChangedBeforeRun is about the time between New and Run, while a server loads the project for the first time.
func TestChangedBeforeRun(t *testing.T) {
	t.Parallel()
	dir := small(t)
	w := watch.New(dir, func() (*project.Project, diag.Findings) { return project.Load(dir, project.Options{}) }, watch.Options{Poll: time.Hour})
	write(t, dir, map[string]string{"damson.yaml": "name: later\n"})
	run(t, w)
	await(t, w, "the new name", func(c watch.Change) bool { return c.Project != nil && c.Project.Name == "later" })
}

// stepper is a clock whose polls wait for the test, and whose settling lets the test write.
type stepper struct {
	clock.System
	poll   chan struct{}
	settle func()
}

const settling, polling = time.Millisecond, time.Hour

func (s *stepper) Sleep(ctx context.Context, d time.Duration) error {
	if d == settling {
		s.settle()
		return ctx.Err()
	}
	select {
	case <-s.poll:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestSettles writes a file in four portions: it is loaded once, when it is whole.
func TestSettles(t *testing.T) {
	t.Parallel()
	dir := small(t)
	texts := []string{"name: abc\nva", "name: abc\nvars:\n  a", "name: abc\nvars:\n  a: 1\n"}
	c := &stepper{poll: make(chan struct{}), settle: func() {
		if len(texts) > 0 {
			write(t, dir, map[string]string{"damson.yaml": texts[0]})
			texts = texts[1:]
		}
	}}
	var loads atomic.Int32
	load := func() (*project.Project, diag.Findings) {
		loads.Add(1)
		return project.Load(dir, project.Options{})
	}
	w := watch.New(dir, load, watch.Options{Clock: c, Settle: settling, Poll: polling, NoEvents: true})
	write(t, dir, map[string]string{"damson.yaml": "name: abc\n"})
	run(t, w)
	change := <-w.Changes()
	if change.Project == nil || len(change.Project.Vars) != 1 || loads.Load() != 1 {
		t.Errorf("after %d loads the change is %+v", loads.Load(), change)
	}
	c.poll <- struct{}{} // nothing has changed: nothing is loaded
	c.poll <- struct{}{}
	if loads.Load() != 1 {
		t.Errorf("%d loads of files that did not change", loads.Load())
	}
}

// TestSameSizeSameTime overwrites a file within the resolution of its time.
func TestSameSizeSameTime(t *testing.T) {
	t.Parallel()
	dir := small(t)
	full := filepath.Join(dir, "damson.yaml")
	now := time.Now()
	if err := os.Chtimes(full, now, now); err != nil {
		t.Fatal(err)
	}
	w := watch.New(dir, func() (*project.Project, diag.Findings) { return project.Load(dir, project.Options{}) },
		watch.Options{NoEvents: true, Poll: 10 * time.Millisecond, Settle: time.Millisecond})
	write(t, dir, map[string]string{"damson.yaml": "name: z\n"})
	if err := os.Chtimes(full, now, now); err != nil {
		t.Fatal(err)
	}
	run(t, w)
	await(t, w, "the other content", func(c watch.Change) bool { return c.Project != nil && c.Project.Name == "z" })
}

// TestNewerReplacesOlder has nobody receive while two changes happen.
func TestNewerReplacesOlder(t *testing.T) {
	t.Parallel()
	dir := small(t)
	loaded := make(chan string, 10)
	load := func() (*project.Project, diag.Findings) {
		p, findings := project.Load(dir, project.Options{})
		loaded <- p.Name
		return p, findings
	}
	w := watch.New(dir, load, watch.Options{Poll: 10 * time.Millisecond, Settle: time.Millisecond})
	run(t, w)
	for _, name := range []string{"one", "two"} {
		write(t, dir, map[string]string{"damson.yaml": "name: " + name + "\n"})
		for <-loaded != name {
		}
	}
	await(t, w, "the last name at once", func(c watch.Change) bool {
		if c.Project != nil && c.Project.Name == "one" {
			t.Error("the older change was delivered")
		}
		return c.Project != nil && c.Project.Name == "two"
	})
}

// BenchmarkChange is the time from a write to the delivery of the project; half a second of polling is not in it.
func BenchmarkChange(b *testing.B) {
	dir := small(b)
	w := start(b, dir, watch.Options{Poll: time.Hour})
	for i := 0; b.Loop(); i++ {
		name := strings.Repeat("n", 1+i%50)
		write(b, dir, map[string]string{"damson.yaml": "name: " + name + "\n"})
		await(b, w, "the name", func(c watch.Change) bool { return c.Project != nil && c.Project.Name == name })
	}
}
