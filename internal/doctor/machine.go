package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"damson/internal/diag"
)

// Room on a disk below which there is a warning, and below which something fails soon.
const (
	littleRoom = 1e9
	noRoom     = 100e6
)

// Room is what a disk has left.
type Room struct {
	Free  int64 // bytes, for this user
	Files int64 // that can still be made; -1 = not limited
}

// roomAt asks the disk that a path is on, or the nearest directory above it that is there.
func roomAt(path string) (Room, error) {
	var st syscall.Statfs_t
	dir := nearest(path)
	if err := syscall.Statfs(dir, &st); err != nil {
		return Room{}, fmt.Errorf("asking for the room at %s: %w", dir, err)
	}
	r := Room{Free: int64(st.Bavail) * int64(st.Bsize), Files: -1}
	if st.Files > 0 {
		r.Files = int64(st.Ffree)
	}
	return r, nil
}

// nearest is the path itself or the first directory above it that is there.
func nearest(path string) string {
	for {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) || filepath.Dir(path) == path {
			return path
		}
		path = filepath.Dir(path)
	}
}

// judgeRoom judges the disk that holds something of the project's.
func judgeRoom(r Room, path, holds string) []Check {
	c := Check{Status: OK, What: fmt.Sprintf("%s free for %s", bytes(r.Free), holds)}
	if r.Files == 0 {
		c.Status, c.What = Problem, "no more files can be made"
		c.Why = fmt.Sprintf("The file system of %s has no inode left, whatever room it has.", path)
		c.Fix = "Delete files there, many small ones above all."
		return []Check{c}
	}
	if r.Free >= littleRoom {
		return []Check{c}
	}
	c.Status = Warning
	c.Why = fmt.Sprintf("The disk of %s has %s left.", path, bytes(r.Free))
	if r.Free < noRoom {
		c.Status = Problem
		c.Why += " When it is full, tasks fail and nothing can be recorded."
	}
	c.Fix = "Free some space on that disk."
	return []Check{c}
}

// checkState finds out whether the state directory can be written, by a file that is removed at once.
func checkState(dir string) []Check {
	info, err := os.Stat(dir)
	there := err == nil
	if there && !info.IsDir() {
		return []Check{{Status: Problem, What: "the state directory is a file", Why: fmt.Sprintf("%s is not a directory; runs, logs and models are kept in it.", dir),
			Fix: "Move that file away."}}
	}
	probe, err := os.CreateTemp(nearest(dir), ".damson-doctor-*")
	if err == nil {
		err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	}
	var why *fs.PathError
	switch {
	case errors.As(err, &why):
		return []Check{{Status: Problem, What: "the state directory cannot be written", Why: fmt.Sprintf("Runs, logs and models are kept in %s: %v.", dir, why.Err),
			Fix: fmt.Sprintf("Make it writable for user %d, or free space on its disk.", os.Geteuid())}}
	case err != nil:
		return []Check{found(Problem, "the state directory cannot be written", err)}
	case !there:
		return ok("the first run makes %s", filepath.Base(dir))
	}
	return ok("%s can be written", filepath.Base(dir))
}

// zoneProbe is a zone whose clocks change: without a database of time zones it is not known.
const zoneProbe = "Europe/Berlin"

// checkZones finds out whether this machine has a database of time zones. Damson carries one with it, for a machine that has none.
func checkZones() []Check {
	if _, err := time.LoadLocation(zoneProbe); err != nil {
		return []Check{{Status: Problem, What: "no database of time zones", Why: err.Error(),
			Fix: "Install the package tzdata, or correct the variable ZONEINFO."}}
	}
	return ok("known")
}

// checkPython finds out whether the interpreter of the project's python tasks starts. path is where it is, or what was looked for.
func checkPython(ctx context.Context, tasks []string, path string, there bool) []Check {
	const fix = "Install Python 3, make an environment for the project with `python3 -m venv .venv`, or name the interpreter in the environment variable DAMSON_PYTHON."
	c := Check{Status: Problem, What: "Python is not there", Fix: fix, Why: fmt.Sprintf("%s needs it, and %s is not on this machine.", list(tasks), path)}
	if len(tasks) > 1 {
		c.Why = fmt.Sprintf("%s need it, and %s is not on this machine.", list(tasks), path)
	}
	if !there {
		return []Check{c}
	}
	out, err := exec.CommandContext(ctx, path, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])").CombinedOutput()
	version := strings.TrimSpace(string(out))
	switch {
	case ctx.Err() != nil:
		return nil // run says so
	case err != nil:
		c.What, c.Why = "Python does not start", fmt.Sprintf("%s: %v %s", path, err, version)
		return []Check{c}
	case strings.HasPrefix(version, "2."):
		c.What, c.Why = "Python is too old", fmt.Sprintf("%s is Python %s.", path, version)
		return []Check{c}
	}
	return ok("Python %s, %s", version, path)
}

// memory is what a machine has and what of it a process may take, in bytes; 0 = not known.
type memory struct{ machine, process int64 }

// memoryOf reads them from Linux's own files: a control group may leave a process less than the machine has.
func memoryOf(readFile func(path string) ([]byte, error)) (m memory) {
	if text, err := readFile("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == "MemTotal:" {
				kilobytes, _ := strconv.ParseInt(fields[1], 10, 64) // 0 is "not known"
				m.machine = kilobytes << 10
			}
		}
	}
	m.process = m.machine
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := readFile(path)
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err == nil && n > 0 && n < m.machine {
			m.process = n
		}
	}
	return m
}

// judgeMemory compares what the embedded warehouse may take with what there is. asked is 0 when damson.yaml does not say: DuckDB
// then takes 80 % of the machine's memory, whatever a control group allows.
func judgeMemory(asked int64, m memory, at diag.Pos) []Check {
	const share = 0.8
	takes := asked
	if takes == 0 {
		takes = int64(share * float64(m.machine))
	}
	switch {
	case m.machine == 0:
		return []Check{{Status: NotChecked, What: "not checked", Why: "This machine does not tell how much memory it has."}}
	case takes <= m.process:
		return ok("the warehouse may take %s of %s", bytes(takes), bytes(m.process))
	}
	what := "this machine has"
	if m.process < m.machine {
		what = "this process may have (its control group)"
	}
	return []Check{{Status: Warning, At: at, What: "the warehouse may take more memory than there is",
		Why: fmt.Sprintf("It may take %s, and %s %s. The operating system ends a process that asks for more.", bytes(takes), what, bytes(m.process)),
		Fix: fmt.Sprintf("Set memory of the environment in damson.yaml, for example %s.", strings.ReplaceAll(bytes(m.process/10*7), " ", ""))}}
}
