package console

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/gofrs/flock"

	"damson/internal/project"
	"damson/internal/store"
)

// LeaderOf gives the process that leads the project, nil when none does. What a server on this machine left behind when it
// died does not count.
func (a *App) LeaderOf(ctx context.Context, p *project.Project, s *store.Store) (*store.Process, error) {
	l, err := s.Lease(ctx)
	if err != nil || l.Holder == "" || a.StoreURL() == "" && a.unlocked(p) {
		return nil, err
	}
	processes, err := s.Processes(ctx)
	if err != nil {
		return nil, err
	}
	for _, process := range processes {
		if process.ID == l.Holder && !DeadHere(process) {
			return &process, nil
		}
	}
	return nil, nil
}

// unlocked reports whether nobody has the project's lock, which whoever leads over a store in the project has.
func (a *App) unlocked(p *project.Project) bool {
	l := flock.New(filepath.Join(p.Dir, StateDir, "lock"))
	got, err := l.TryRLock()
	if got {
		err = l.Unlock()
	}
	return got && err == nil
}

// Hostname is the name of this machine.
func Hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// DeadHere reports whether a process of this machine is known to have ended. One that has ended and that nobody has
// waited for still has its number.
func DeadHere(p store.Process) bool {
	if p.Host != Hostname() || p.PID == os.Getpid() {
		return false
	}
	if errors.Is(syscall.Kill(p.PID, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID))
	_, state, found := strings.Cut(string(stat), ") ")
	return err == nil && found && strings.HasPrefix(state, "Z")
}

// Whoami is the operating system's name of the user, "" when it has none.
func Whoami() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}
