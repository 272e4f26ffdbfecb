package tasks

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"damson/internal/diag"
)

// room is a directory for the files of one attempt, below .damson/tmp. Its lock ends with the process that made it: a room
// whose lock is free belongs to nobody any more, and the next attempt, of whatever process, clears it away.
type room struct {
	dir  string
	lock *flock.Flock
}

func (s *Shop) newRoom() (r *room, err error) {
	all := filepath.Join(s.Project.Dir, ".damson", "tmp")
	if err := os.MkdirAll(all, 0o777); err != nil {
		return nil, noRoom(all, err)
	}
	door := flock.New(filepath.Join(all, "lock")) // nobody clears away a room that is being made
	if err := door.Lock(); err != nil {
		return nil, noRoom(all, err)
	}
	defer func() { err = errors.Join(err, door.Close()) }()
	sweep(all)
	dir, err := os.MkdirTemp(all, "task-")
	if err != nil {
		return nil, noRoom(all, err)
	}
	r = &room{dir, flock.New(filepath.Join(dir, "lock"))}
	if err := r.lock.Lock(); err != nil {
		return nil, errors.Join(noRoom(dir, err), os.RemoveAll(dir))
	}
	return r, nil
}

// sweep clears away what processes left that are gone. What resists is tried again next time.
func sweep(all string) {
	rooms, _ := filepath.Glob(filepath.Join(all, "task-*"))
	for _, dir := range rooms {
		old := flock.New(filepath.Join(dir, "lock"))
		if free, err := old.TryLock(); err == nil && free {
			_ = os.RemoveAll(dir)
		}
		_ = old.Close()
	}
}

// close removes the directory with all that is in it.
func (r *room) close() error {
	return errors.Join(os.RemoveAll(r.dir), r.lock.Close())
}

func (r *room) path(name string) string { return filepath.Join(r.dir, name) }

func noRoom(dir string, err error) error {
	return diag.Finding{Summary: "No place for a task's files", Detail: fmt.Sprintf("%s: %v.", dir, err),
		Fix: "Make the project's directory writable, or free space on its disk.", Cause: err}
}
