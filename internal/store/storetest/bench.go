package storetest

import (
	"fmt"
	"testing"
	"time"

	"damson/internal/run"
	"damson/internal/store"
	"damson/internal/store/driver"
)

// benchTasks is how many tasks a run of a benchmark has.
const benchTasks = 12

// Benchmark measures what a scheduler does all the time, in an empty store and with a million finished task runs in it. open
// opens the same database each time.
func Benchmark(b *testing.B, open func(b *testing.B) driver.DB) {
	for _, name := range []string{"empty", "million"} {
		d := open(b)
		if name == "million" {
			addMillion(b, d) // before the store takes the one connection that writes
		}
		s, err := store.New(b.Context(), d)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) { benchStore(b, s, name) })
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func benchStore(b *testing.B, s *store.Store, pipeline string) {
	seen, err := s.Lease(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	lease, took, err := s.Lead(b.Context(), seen, "bench")
	if err != nil || !took {
		b.Fatal(lease, err)
	}
	runs := daily(pipeline, 100)
	var tasks, ids []string
	for i := range benchTasks {
		tasks = append(tasks, fmt.Sprintf("a_task_with_a_usual_name_%d", i))
	}
	for _, r := range runs {
		ids = append(ids, r.ID)
	}
	if _, err := s.CreateRuns(b.Context(), runs, tasks); err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 100, 333} {
		b.Run(fmt.Sprintf("Commit%dLines%dChanges", n, 3*n), func(b *testing.B) { benchCommit(b, s, lease.Token, ids, tasks, n) })
	}
	b.Run("BeatLease", func(b *testing.B) {
		for b.Loop() {
			if lease, err = s.BeatLease(b.Context(), lease); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Send", func(b *testing.B) {
		for b.Loop() {
			if err := s.Send(b.Context(), store.Message{Recipient: pipeline, Kind: "outcome", Body: []byte(`{"state":"success"}`), At: clock}); err != nil {
				b.Fatal(err)
			}
		}
	})
	benchQueries(b, s, pipeline, ids)
}

// benchCommit commits, for n task runs, a line and the three changes of a whole attempt.
func benchCommit(b *testing.B, s *store.Store, fence int64, ids, tasks []string, n int) {
	round := 0
	for b.Loop() {
		batch := store.Batch{Fence: fence}
		for i := range n {
			id, task := ids[i/len(tasks)], tasks[i%len(tasks)]
			batch.Lines = append(batch.Lines, run.LogLine{Claim: run.Claim{RunID: id, Task: task, Attempt: round + 1}, At: clock, Level: "info", Text: "12 rows in 0.4 s"})
			from := run.Success
			if round == 0 {
				from = taskState(b, s, id, task)
			}
			for _, to := range []run.State{run.Queued, run.Running, run.Success} {
				batch.Changes = append(batch.Changes, run.Change{RunID: id, Task: task, From: from, To: to, Event: run.EventStarted, At: clock,
					Attempt: round + 1, Reason: "its trigger rule holds"})
				from = to
			}
		}
		if err := s.Commit(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		round++
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(3*n), "µs/change")
}

func taskState(b *testing.B, s *store.Store, id, task string) run.State {
	tasks, err := s.TaskRuns(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	for _, t := range tasks {
		if t.Task == task {
			return t.State
		}
	}
	b.Fatalf("run %s has no task %s", id, task)
	return ""
}

func benchQueries(b *testing.B, s *store.Store, pipeline string, ids []string) {
	list := func(name string, f store.RunFilter) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Runs(b.Context(), f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	list("RunsOpen", store.RunFilter{States: []run.State{run.Queued, run.Running}})
	list("RunsNewest", store.RunFilter{Newest: true, Limit: 20})
	list("RunsSuccessBefore", store.RunFilter{Pipeline: "old3", States: []run.State{run.Success}, To: day0.AddDate(0, 0, 50), Newest: true, Limit: 1})
	list("RunsPipelineOpen", store.RunFilter{Pipeline: "old3", States: []run.State{run.Queued}})
	list("RunsPipelineNewest", store.RunFilter{Pipeline: pipeline, Newest: true, Limit: 20})
	b.Run("TaskRuns100x12", func(b *testing.B) {
		for b.Loop() {
			if tasks, err := s.TaskRuns(b.Context(), ids...); err != nil || len(tasks) != len(ids)*benchTasks {
				b.Fatal(len(tasks), err)
			}
		}
	})
}

// addMillion adds a million finished task runs, each with a line and a change, of 40 pipelines, in bulk.
func addMillion(b *testing.B, d driver.DB) {
	const days, pipelines = 2084, 40
	numbers := func(name string, n int) string {
		return fmt.Sprintf(`%[1]s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM %[1]s WHERE i < %[2]d)`, name, n-1)
	}
	with := `WITH RECURSIVE ` + numbers("d", days) + `, ` + numbers("p", pipelines)
	text := func(prefix, number string) string { return `'` + prefix + `' || CAST(` + number + ` AS TEXT)` }
	id, day := text("old", "p.i")+` || `+text("-", "d.i"), fmt.Sprintf(`%d + d.i * %d`, day0.UnixMicro(), (24*time.Hour).Microseconds())
	task := text("a_task_with_a_usual_name_", "t.i")
	tasks := with + `, ` + numbers("t", benchTasks)
	from := ` FROM p CROSS JOIN d`
	for _, query := range []string{
		with + ` INSERT INTO runs (id, pipeline, cause, data_start, data_end, state, version, created, started, ended, reason)
			SELECT ` + id + `, ` + text("old", "p.i") + `, 'backfill', ` + day + `, ` + day + `, 'success', 'v1', 1, 1, 1, ''` + from,
		tasks + ` INSERT INTO task_runs (run_id, task, state, attempt, token, queued, started, ended)
			SELECT ` + id + `, ` + task + `, 'success', 1, 1, 1, 1, 1` + from + ` CROSS JOIN t`,
		tasks + ` INSERT INTO history (run_id, task, from_state, to_state, event, at, attempt, failures, token, reason)
			SELECT ` + id + `, ` + task + `, 'running', 'success', 'finished', 1, 1, 0, 1, ''` + from + ` CROSS JOIN t`,
		tasks + ` INSERT INTO logs (run_id, task, attempt, at, level, text)
			SELECT ` + id + `, ` + task + `, 1, 1, 'info', '12 rows in 0.4 s'` + from + ` CROSS JOIN t`,
		`ANALYZE`,
	} {
		if _, err := d.Writer().ExecContext(b.Context(), query); err != nil {
			b.Fatal(err)
		}
	}
}
