package watch_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"damson/internal/diag"
	"damson/internal/project"
	"damson/internal/watch"
)

// shelf is a store of snapshots.
type shelf struct {
	mu       sync.Mutex
	archives map[string][]byte
	saves    int
}

var errAbsent = errors.New("no such snapshot")

func (s *shelf) Snapshot(_ context.Context, version string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.archives[version]; ok {
		return a, nil
	}
	return nil, errAbsent
}

func (s *shelf) SaveSnapshot(_ context.Context, version string, archive []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.archives == nil {
		s.archives = map[string][]byte{}
	}
	s.archives[version] = archive
	s.saves++
	return nil
}

// library is the versions of one project, and how often one was loaded.
type library struct {
	*watch.Versions
	dir, cache string
	loads      atomic.Int32
}

func newLibrary(dir, cache string, s *shelf, opts watch.VersionsOptions) *library {
	l := &library{dir: dir, cache: cache}
	l.Versions = watch.NewVersions(cache, s, func(source string) (*project.Project, diag.Findings) {
		l.loads.Add(1)
		return project.Load(source, project.Options{Home: dir})
	}, opts)
	return l
}

func (l *library) put(t *testing.T) string {
	t.Helper()
	p, findings := l.Read(t.Context(), l.dir)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	version, err := l.Put(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return version
}

func (l *library) get(t *testing.T, version string) *project.Project {
	t.Helper()
	p, err := l.Get(t.Context(), version)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestVersionsShareFiles: what a version has in common with the one before is the same file on disk, unless somebody has
// changed it there.
func TestVersionsShareFiles(t *testing.T) {
	t.Parallel()
	dir := small(t)
	l := newLibrary(dir, t.TempDir(), &shelf{}, watch.VersionsOptions{})
	shared := func(a, b, name string) bool {
		t.Helper()
		one, err := os.Stat(filepath.Join(l.cache, a, name))
		if err != nil {
			t.Fatal(err)
		}
		other, err := os.Stat(filepath.Join(l.cache, b, name))
		if err != nil {
			t.Fatal(err)
		}
		return os.SameFile(one, other)
	}
	write(t, dir, map[string]string{"python/kept.py": "1\n", "python/spoilt.py": "2\n"})
	first := l.put(t)
	write(t, dir, map[string]string{"damson.yaml": "name: second\n"})
	second := l.put(t)
	if !shared(first, second, "python/kept.py") || shared(first, second, "damson.yaml") {
		t.Error("the second version shares other files with the first than those that are the same")
	}
	write(t, filepath.Join(l.cache, second), map[string]string{"python/spoilt.py": "3\n"})
	write(t, dir, map[string]string{"damson.yaml": "name: third\n"})
	third := l.put(t)
	if !shared(second, third, "python/kept.py") || shared(second, third, "python/spoilt.py") {
		t.Error("the third version shares other files with the second than those that are the same")
	}
}

// TestVersions changes a project after a run was made with it; the run's version stays what it was, in this process and in
// another one that has the store only.
func TestVersions(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	dir := small(t)
	here := newLibrary(dir, t.TempDir(), s, watch.VersionsOptions{})
	first := here.put(t)
	write(t, dir, map[string]string{"damson.yaml": "name: changed\n"}) // no pipeline changes, and yet it is another version
	second := here.put(t)
	if first == second {
		t.Fatal("another damson.yaml gives the same version")
	}
	there := newLibrary(dir, filepath.Join(t.TempDir(), "not", "yet"), s, watch.VersionsOptions{})
	for _, l := range []*library{here, there} {
		for version, name := range map[string]string{first: "s", second: "changed"} {
			p := l.get(t, version)
			if p.Name != name || p.Dir != dir || !strings.HasPrefix(p.Source, l.cache) {
				t.Errorf("version %s is project %s in %s, read from %s", version, p.Name, p.Dir, p.Source)
			}
			if l.get(t, version) != p {
				t.Error("the same version was loaded twice")
			}
		}
	}
	write(t, dir, map[string]string{"damson.yaml": "name: s\n"})
	if back := here.put(t); back != first {
		t.Errorf("the first files again are version %s, want %s", back, first)
	}
	if here.loads.Load() != 2 || there.loads.Load() != 2 || s.saves != 2 {
		t.Errorf("%d and %d loads, %d saves; want 2 of each", here.loads.Load(), there.loads.Load(), s.saves)
	}
}

func TestPutOfAnotherProject(t *testing.T) {
	t.Parallel()
	dir := small(t)
	l := newLibrary(dir, t.TempDir(), &shelf{}, watch.VersionsOptions{})
	p, findings := project.Load(dir, project.Options{})
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	version, err := l.Put(t.Context(), p)
	if err != nil || l.put(t) != version {
		t.Errorf("Put gives %s, %v", version, err)
	}
	write(t, dir, map[string]string{"sql/x.sql": "select 2 as n\n"})
	var f diag.Finding
	if _, err := l.Put(t.Context(), p); !errors.As(err, &f) || f.Summary != "The project changed" {
		t.Errorf("Put of files that changed gives %v", err)
	}
	write(t, dir, map[string]string{"sql/x.sql": "select {{ nothing }}\n"})
	if _, err := l.Put(t.Context(), p); err == nil {
		t.Error("Put of files with errors succeeds")
	}
}

// TestReadReports compares with loading the directory itself, for mistakes that a snapshot cannot hold as well.
func TestReadReports(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(dir string) error{
		"a mistake in SQL": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "sql", "x.sql"), []byte("{{ nothing }}"), 0o644)
		},
		"a warning": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "sql", "u.sql"), []byte("select 1"), 0o644)
		},
		"a broken link":   func(dir string) error { return os.Symlink("nowhere", filepath.Join(dir, "sql", "y.sql")) },
		"a linked folder": func(dir string) error { return os.Symlink("..", filepath.Join(dir, "sql", "loop")) },
		"a directory":     func(dir string) error { return os.Mkdir(filepath.Join(dir, "sql", "y.sql"), 0o755) },
		"a huge file":     func(dir string) error { return os.Truncate(filepath.Join(dir, "sql", "x.sql"), 20<<20) },
		"no damson.yaml":  func(dir string) error { return os.Remove(filepath.Join(dir, "damson.yaml")) },
		"no project":      os.RemoveAll,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, cache := small(t), t.TempDir()
			if err := spoil(dir); err != nil {
				t.Fatal(err)
			}
			_, want := project.Load(dir, project.Options{})
			_, got := newLibrary(dir, cache, &shelf{}, watch.VersionsOptions{}).Read(t.Context(), dir)
			if len(want) == 0 || got.Error() != want.Error() {
				t.Errorf("Read reports\n%v\nwant\n%v", got, want)
			}
			if kept, _ := os.ReadDir(cache); want.HasErrors() && len(kept) > 0 {
				t.Errorf("files with errors were kept: %v", kept)
			}
		})
	}
}

func TestReadOfAFileNoTaskMayUse(t *testing.T) {
	t.Parallel()
	dir := small(t)
	write(t, dir, map[string]string{"python/big.bin": ""})
	if err := os.Truncate(filepath.Join(dir, "python", "big.bin"), 20<<20); err != nil {
		t.Fatal(err)
	}
	_, findings := newLibrary(dir, t.TempDir(), &shelf{}, watch.VersionsOptions{}).Read(t.Context(), dir)
	if !findings.HasErrors() || findings[0].At.File != "python/big.bin" {
		t.Errorf("Read reports %v", findings)
	}
}

func TestGetOfUnknownVersions(t *testing.T) {
	t.Parallel()
	s := &shelf{archives: map[string][]byte{"00000000000000aa": []byte("?")}}
	dir := small(t)
	archive, err := watch.Pack(dir, []string{"damson.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	s.archives["00000000000000bb"] = archive
	l := newLibrary(dir, t.TempDir(), s, watch.VersionsOptions{})
	for version, want := range map[string]string{
		"": "Unknown project version", "../../../../etc": "Unknown project version", "00000000000000AA": "Unknown project version",
		"00000000000000aa": "Snapshot is damaged", "00000000000000bb": "Snapshot is damaged", "00000000000000cc": errAbsent.Error(),
	} {
		if _, err := l.Get(t.Context(), version); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Get(%q) gives %v, want %s", version, err, want)
		}
	}
}

// TestDamagedCache has files on disk that are not what they should be: they are unpacked again.
func TestDamagedCache(t *testing.T) {
	t.Parallel()
	s, dir, cache := &shelf{}, small(t), t.TempDir()
	version := newLibrary(dir, cache, s, watch.VersionsOptions{}).put(t)
	write(t, cache, map[string]string{version + "/damson.yaml": ""})
	if p := newLibrary(dir, cache, s, watch.VersionsOptions{}).get(t, version); p.Name != "s" {
		t.Errorf("the project is %q", p.Name)
	}
	l := newLibrary(dir, cache, s, watch.VersionsOptions{})
	l.get(t, version)
	remove(t, cache, version) // by another process that makes room
	p := l.get(t, version)
	if _, err := os.Stat(filepath.Join(p.Source, "sql", "x.sql")); err != nil {
		t.Error(err)
	}
}

// tick is a clock that goes on by a second at each look.
type tick struct{ now atomic.Int64 }

func (c *tick) Now() time.Time                                 { return time.Unix(1_200_000_000+c.now.Add(1), 0) }
func (*tick) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func TestLeastRecentlyUsedGoes(t *testing.T) {
	t.Parallel()
	s, dir, cache := &shelf{}, small(t), t.TempDir()
	left, young := filepath.Join(cache, ".unpack-left"), filepath.Join(cache, ".unpack-young")
	for _, d := range []string{left, young} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(left, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	l := newLibrary(dir, cache, s, watch.VersionsOptions{Clock: &tick{}, Memory: 2, Disk: 3})
	var versions []string
	for _, name := range []string{"a", "b", "c", "d"} {
		write(t, dir, map[string]string{"damson.yaml": "name: " + name + "\n"})
		versions = append(versions, l.put(t))
		l.get(t, versions[0]) // used again and again
	}
	for i, there := range []bool{true, false, true, true} {
		if _, err := os.Stat(filepath.Join(cache, versions[i])); (err == nil) != there {
			t.Errorf("version %d on disk: %v, want %v", i, err == nil, there)
		}
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Error("what a process left half written is still there")
	}
	if _, err := os.Stat(young); err != nil {
		t.Error("what another process writes was removed")
	}
	before := l.loads.Load()
	l.get(t, versions[0])
	l.get(t, versions[3])
	if l.loads.Load() != before {
		t.Error("what was used last is not in memory")
	}
	if p := l.get(t, versions[1]); p.Name != "b" || l.loads.Load() != before+1 {
		t.Errorf("project %s after %d loads", p.Name, l.loads.Load()-before)
	}
}

// TestAtOnce asks for versions from many sides: each is loaded once.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	s, dir := &shelf{}, small(t)
	writer := newLibrary(dir, t.TempDir(), s, watch.VersionsOptions{})
	first := writer.put(t)
	write(t, dir, map[string]string{"sql/x.sql": "select 2 as n\n"})
	second := writer.put(t)
	l := newLibrary(dir, t.TempDir(), s, watch.VersionsOptions{})
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			if _, err := l.Get(t.Context(), []string{first, second}[i%2]); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := l.loads.Load(); n != 2 {
		t.Errorf("%d loads, want 2", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Get(ctx, first); err != nil {
		t.Errorf("what is in memory needs no time: %v", err)
	}
}

// TestLiveEdit joins the parts as a server does.
func TestLiveEdit(t *testing.T) {
	t.Parallel()
	s, dir := &shelf{}, small(t)
	l := newLibrary(dir, filepath.Join(dir, ".damson", "versions"), s, watch.VersionsOptions{})
	w := watch.New(dir, func() (*project.Project, diag.Findings) { return l.Read(t.Context(), dir) }, watch.Options{})
	run(t, w)
	write(t, dir, map[string]string{"damson.yaml": "name: edited\n"})
	var live *project.Project
	await(t, w, "the edit", func(c watch.Change) bool { live = c.Project; return c.Project != nil && c.Project.Name == "edited" })
	version, err := l.Put(t.Context(), live)
	if err != nil {
		t.Fatal(err)
	}
	if l.get(t, version) != live {
		t.Error("the version of the project is another project")
	}
}
