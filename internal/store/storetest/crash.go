package storetest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"damson/internal/run"
	"damson/internal/store"
)

// crashCallers is how many callers of a crashing process write at once, so that commits are shared.
const crashCallers = 4

// WriteUntilKilled writes changes without end, in a process that a test kills, and prints "CALLER N" after the Nth
// change of a caller was acknowledged.
func WriteUntilKilled(s *store.Store, acknowledged io.Writer) error {
	r := daily("p", 1)
	var tasks []string
	for i := range crashCallers {
		tasks = append(tasks, strconv.Itoa(i))
	}
	if _, err := s.CreateRuns(context.Background(), r, tasks); err != nil {
		return err
	}
	failed := make(chan error)
	for i := range crashCallers {
		go func() {
			from, to := run.Scheduled, run.Queued
			for n := 1; ; n++ {
				c := run.Change{RunID: r[0].ID, Task: tasks[i], From: from, To: to, At: clock, Attempt: n}
				if err := s.Apply(context.Background(), []run.Change{c}); err != nil {
					failed <- err
					return
				}
				from, to = to, from
				fmt.Fprintf(acknowledged, "%d %d\n", i, n)
			}
		}()
	}
	return <-failed
}

// Crash starts child, which calls WriteUntilKilled on the database of open, kills it in the middle, and looks for every
// change that was acknowledged.
func Crash(t *testing.T, open Open, child *exec.Cmd) {
	t.Helper()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	last := make([]int, crashCallers)
	lines := bufio.NewScanner(out)
	for seen := 0; lines.Scan(); seen++ {
		if caller, n, ok := strings.Cut(lines.Text(), " "); ok {
			i, _ := strconv.Atoi(caller)
			last[i], _ = strconv.Atoi(n)
		}
		if seen == 300 { // what is still in the pipe was acknowledged as well
			_ = child.Process.Kill()
		}
	}
	_ = child.Wait()
	s := start(t, open)
	id := daily("p", 1)[0].ID
	for i, n := range last {
		task := strconv.Itoa(i)
		history, err := s.History(t.Context(), id, task)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 || len(history) < n || len(history) > n+1 {
			t.Errorf("caller %d was told of %d changes; %d are stored", i, n, len(history))
		}
		if tr := taskRun(t, s, id, task); tr.Attempt != len(history) {
			t.Errorf("task %s has had %d changes; its state is that of change %d", task, len(history), tr.Attempt)
		}
	}
}
