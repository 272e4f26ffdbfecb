package watch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"damson/internal/clock"
	"damson/internal/diag"
	"damson/internal/project"
)

// Archives keep snapshots by version; the store does.
type Archives interface {
	Snapshot(ctx context.Context, version string) ([]byte, error)
	SaveSnapshot(ctx context.Context, version string, archive []byte) error
}

// Loader loads the project whose files are in source, for the real directory it knows: project.Load with Options.Home.
type Loader func(source string) (*project.Project, diag.Findings)

// VersionsOptions tune Versions; the zero value is good.
type VersionsOptions struct {
	Clock  clock.Clock // nil is the machine's
	Memory int         // loaded versions kept in memory; 0 is 8
	Disk   int         // unpacked versions kept on disk; 0 is 32
}

// Versions gives projects as they were at a version. A version's files lie unpacked in the cache, each in a directory of its
// name; several processes may share it. Versions is safe for concurrent use and loads one project at a time, because loading
// takes all processors.
type Versions struct {
	cache    string
	archives Archives
	load     Loader
	clock    clock.Clock
	memory   int
	disk     int

	slot    chan struct{} // held by the one that loads
	mu      sync.Mutex
	entries []*entry // the one used last at the end
}

type entry struct {
	version  string
	project  *project.Project
	warnings diag.Findings
	saved    bool
	files    bundle // what is to be saved; nil when that is done, or when it lies on disk only
}

// NewVersions keeps unpacked versions in the directory cache, .damson/versions of a project.
func NewVersions(cache string, archives Archives, load Loader, opts VersionsOptions) *Versions {
	v := &Versions{cache: cache, archives: archives, load: load, clock: opts.Clock, memory: opts.Memory, disk: opts.Disk, slot: make(chan struct{}, 1)}
	if v.clock == nil {
		v.clock = clock.System{}
	}
	if v.memory <= 0 {
		v.memory = 8
	}
	if v.disk <= 0 {
		v.disk = 32
	}
	return v
}

// Get gives the project as it was at version. The error is a diag.Finding or diag.Findings when that version cannot be
// had any more, or has errors in this process's environment (a variable that is not set, for example).
func (v *Versions) Get(ctx context.Context, version string) (*project.Project, error) {
	if !isVersion(version) {
		return nil, diag.Finding{Summary: "Unknown project version", Detail: fmt.Sprintf("%q is not the version of a project's files.", version)}
	}
	if e := v.recall(version); e != nil {
		return e.project, nil
	}
	if err := v.acquire(ctx); err != nil {
		return nil, err
	}
	defer v.release()
	if e := v.recall(version); e != nil {
		return e.project, nil
	}
	dir := v.place(version)
	saved := false
	if !v.intact(version) {
		archive, err := v.archives.Snapshot(ctx, version)
		if err != nil {
			return nil, fmt.Errorf("project version %s: %w", version, err)
		}
		if err := Unpack(archive, dir); err != nil && !isDir(dir) { // another process may have been faster
			return nil, err
		}
		if !v.intact(version) {
			return nil, diag.Finding{Summary: "Snapshot is damaged", Detail: fmt.Sprintf("What is stored as project version %s is something else.", version),
				Fix: "Clear the run without --same-version: it moves to the present version."}
		}
		saved = true
	}
	p, findings := v.load(dir)
	if err := findings.Err(); err != nil {
		return nil, err
	}
	v.remember(&entry{version: version, project: p, warnings: findings, saved: saved})
	return p, nil
}

// Read loads the project in dir from a snapshot of its present files: what it gives is what Put keeps, even while somebody
// writes into dir. Give it to a Watcher. It reports what loading dir itself reports.
func (v *Versions) Read(ctx context.Context, dir string) (*project.Project, diag.Findings) {
	e, findings := v.read(ctx, dir)
	if e == nil || e.project == nil {
		return &project.Project{Dir: dir}, findings
	}
	return e.project, findings
}

// read gives an entry that is remembered when there are no errors among the findings.
func (v *Versions) read(ctx context.Context, dir string) (*entry, diag.Findings) {
	files, err := Files(dir)
	var b bundle
	if err == nil {
		b, err = read(dir, files)
	}
	if err != nil { // loading says best what is wrong with a file
		p, findings := v.load(dir)
		if !findings.HasErrors() {
			findings = append(findings, diag.AsFinding("The project's files cannot be read", err))
		}
		return &entry{project: p}, findings
	}
	version := b.version()
	if err := v.acquire(ctx); err != nil {
		return nil, diag.Findings{diag.AsFinding("Loading was stopped", err)}
	}
	defer v.release()
	if e := v.recall(version); e != nil {
		return e, e.warnings
	}
	made := false
	if !v.intact(version) {
		if err := b.write(v.place(version), v.latest()); err != nil && !v.intact(version) {
			return nil, diag.Findings{{Summary: "No place for the project's versions", Detail: err.Error(), Cause: err,
				Fix: "Make the project's directory writable, or free space on its disk."}}
		}
		made = true
	}
	e := &entry{version: version, files: b}
	var findings diag.Findings
	if e.project, findings = v.load(v.place(version)); !findings.HasErrors() {
		e.warnings = findings
		v.remember(e)
	} else if made { // no run will ever ask for it
		_ = os.RemoveAll(v.place(version))
	}
	return e, findings
}

// Put keeps the version that p is, and gives its name. A project that Read or Get gave lies there already; any other is
// loaded once more, from the snapshot, because its files may have changed since. The error is a diag.Finding when they did.
func (v *Versions) Put(ctx context.Context, p *project.Project) (string, error) {
	e := v.entryOf(p)
	if e != nil && !v.isSaved(e) {
		e = v.recall(e.version)
	}
	if e == nil {
		var findings diag.Findings
		if e, findings = v.read(ctx, p.Dir); findings.HasErrors() {
			return "", findings
		}
		if e.project.Version != p.Version {
			return "", diag.Finding{Summary: "The project changed", Detail: "Its files were written to while it was loaded.", Fix: "Try again."}
		}
	}
	if v.isSaved(e) {
		return e.version, nil
	}
	b, err := v.filesOf(e)
	if err != nil {
		return "", err
	}
	archive, err := b.archive()
	if err != nil {
		return "", err
	}
	if err := v.archives.SaveSnapshot(ctx, e.version, archive); err != nil {
		return "", fmt.Errorf("keep project version %s: %w", e.version, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	e.saved, e.files = true, nil
	return e.version, nil
}

// filesOf gives the files of a version as they were read, or as they lie in its directory.
func (v *Versions) filesOf(e *entry) (bundle, error) {
	v.mu.Lock()
	b := e.files
	v.mu.Unlock()
	if b != nil {
		return b, nil
	}
	dir := v.place(e.version)
	files, err := Files(dir)
	if err != nil {
		return nil, err
	}
	if b, err = read(dir, files); err == nil && b.version() != e.version {
		err = diag.Finding{Summary: "The project's versions were changed", Detail: fmt.Sprintf("%s is not what was written there.", dir),
			Fix: "Remove that directory, and try again."}
	}
	return b, err
}

// latest is where the version lies that was used last, "" when none was.
func (v *Versions) latest() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.entries) == 0 {
		return ""
	}
	return v.place(v.entries[len(v.entries)-1].version)
}

func (v *Versions) place(version string) string { return filepath.Join(v.cache, version) }

// intact reports whether the files of version lie on disk as they should, and removes them when they are others: a machine
// that lost power may have kept the names of files and not what was in them.
func (v *Versions) intact(version string) bool {
	dir := v.place(version)
	if _, err := os.Lstat(dir); err != nil {
		return false
	}
	files, err := Files(dir)
	if err == nil {
		var b bundle
		if b, err = read(dir, files); err == nil && b.version() == version {
			now := v.clock.Now()
			return os.Chtimes(dir, now, now) == nil // when it was used last
		}
	}
	_ = os.RemoveAll(dir)
	return false
}

func (v *Versions) acquire(ctx context.Context) error {
	select {
	case v.slot <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (v *Versions) release() { <-v.slot }

// recall gives what is in memory, and notes on disk that it was used. It forgets a version whose files another process
// removed, because tasks run scripts from there.
func (v *Versions) recall(version string) *entry {
	v.mu.Lock()
	defer v.mu.Unlock()
	i := slices.IndexFunc(v.entries, func(e *entry) bool { return e.version == version })
	if i < 0 {
		return nil
	}
	e := v.entries[i]
	v.entries = slices.Delete(v.entries, i, i+1)
	if now := v.clock.Now(); os.Chtimes(v.place(version), now, now) != nil {
		return nil
	}
	v.entries = append(v.entries, e)
	return e
}

func (v *Versions) entryOf(p *project.Project) *entry {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, e := range v.entries {
		if e.project == p {
			return e
		}
	}
	return nil
}

func (v *Versions) isSaved(e *entry) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return e.saved
}

// remember keeps e, and forgets what was not used for longest, in memory and on disk.
func (v *Versions) remember(e *entry) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.entries = append(v.entries, e)
	if n := len(v.entries) - v.memory; n > 0 {
		v.entries = slices.Delete(v.entries, 0, n)
	}
	inUse := map[string]bool{}
	for _, e := range v.entries {
		inUse[e.version] = true
	}
	v.trim(inUse)
}

// trim removes the versions on disk that were not used for longest, and directories that a process left half written.
func (v *Versions) trim(inUse map[string]bool) {
	entries, _ := os.ReadDir(v.cache)
	type old struct {
		dir  string
		used time.Time
	}
	var olds []old
	for _, d := range entries {
		info, err := d.Info()
		if err != nil || !d.IsDir() {
			continue
		}
		dir := filepath.Join(v.cache, d.Name())
		switch {
		case strings.HasPrefix(d.Name(), tempPrefix) && info.ModTime().Before(v.clock.Now().Add(-time.Hour)):
			_ = os.RemoveAll(dir)
		case isVersion(d.Name()) && !inUse[d.Name()]:
			olds = append(olds, old{dir, info.ModTime()})
		}
	}
	slices.SortFunc(olds, func(a, b old) int { return a.used.Compare(b.used) })
	excess := max(0, len(olds)+len(inUse)-v.disk)
	for _, o := range olds[:min(excess, len(olds))] {
		_ = os.RemoveAll(o.dir)
	}
}
