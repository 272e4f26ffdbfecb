package sqlite_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"damson/internal/run"
	"damson/internal/store"
	"damson/internal/store/driver"
	"damson/internal/store/sqlite"
	"damson/internal/store/storetest"
)

var (
	benchDay  = time.Date(2007, 4, 12, 0, 0, 0, 0, time.UTC)
	benchTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

func benchStore(b *testing.B) *store.Store {
	db, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "store.sqlite"))
	if err != nil {
		b.Fatal(err)
	}
	s, err := store.New(b.Context(), db)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// benchRuns makes n daily runs with twelve tasks.
func benchRuns(b *testing.B, s *store.Store, pipeline string, n int) (ids, tasks []string) {
	var runs []run.Run
	for i := range n {
		at := benchDay.AddDate(0, 0, i)
		runs = append(runs, run.Run{ID: run.NewID(pipeline, at), Pipeline: pipeline, Start: at, End: at.AddDate(0, 0, 1), State: run.Queued, Created: benchTime})
		ids = append(ids, runs[i].ID)
	}
	for i := range 12 {
		tasks = append(tasks, fmt.Sprintf("a_task_with_a_usual_name_%d", i))
	}
	if made, err := s.CreateRuns(b.Context(), runs, tasks); err != nil || made != n {
		b.Fatal(made, err)
	}
	return ids, tasks
}

func BenchmarkCreateRuns1800x12(b *testing.B) {
	s := benchStore(b)
	for n := 0; b.Loop(); n++ {
		benchRuns(b, s, fmt.Sprint("p", n), 1800)
	}
}

func BenchmarkTaskRuns1800x12(b *testing.B) {
	s := benchStore(b)
	ids, _ := benchRuns(b, s, "p", 1800)
	for b.Loop() {
		if tasks, err := s.TaskRuns(b.Context(), ids...); err != nil || len(tasks) != 1800*12 {
			b.Fatal(len(tasks), err)
		}
	}
}

// toggle applies n changes at a time.
func toggle(b *testing.B, s *store.Store, ids, tasks []string, n int) {
	from, to := run.Scheduled, run.Queued
	changes := make([]run.Change, n)
	for b.Loop() {
		for i := range changes {
			changes[i] = run.Change{RunID: ids[i/len(tasks)], Task: tasks[i%len(tasks)], From: from, To: to, Event: run.EventQueued, At: benchTime, Reason: "its trigger rule holds"}
		}
		if err := s.Apply(b.Context(), changes); err != nil {
			b.Fatal(err)
		}
		from, to = to, from
	}
}

func BenchmarkApply1(b *testing.B) {
	s := benchStore(b)
	ids, tasks := benchRuns(b, s, "p", 1)
	toggle(b, s, ids, tasks, 1)
}

func BenchmarkApply1000(b *testing.B) {
	s := benchStore(b)
	ids, tasks := benchRuns(b, s, "p", 100)
	toggle(b, s, ids, tasks, 1000)
}

// BenchmarkApplyParallel is one change in each call of eight callers.
func BenchmarkApplyParallel(b *testing.B) {
	s := benchStore(b)
	ids, tasks := benchRuns(b, s, "p", 100)
	next := make(chan int, 1200)
	for i := range 1200 {
		next <- i
	}
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		i := <-next
		from, to := run.Scheduled, run.Queued
		for pb.Next() {
			c := run.Change{RunID: ids[i/12], Task: tasks[i%12], From: from, To: to, At: benchTime}
			if err := s.Apply(b.Context(), []run.Change{c}); err != nil {
				b.Fatal(err)
			}
			from, to = to, from
		}
	})
}

func BenchmarkStore(b *testing.B) {
	file := filepath.Join(b.TempDir(), "store.sqlite")
	storetest.Benchmark(b, func(b *testing.B) driver.DB {
		db, err := sqlite.Open(b.Context(), file)
		if err != nil {
			b.Fatal(err)
		}
		return db
	})
}
