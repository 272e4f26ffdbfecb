package pipeline_test

import (
	"fmt"
	"testing"

	"damson/internal/pipeline"
)

// TestTaskReads tells, for each kind of task, what it reads and writes.
func TestTaskReads(t *testing.T) {
	t.Parallel()
	tests := []struct {
		task pipeline.Task
		want string // into, mode, file, source, model
	}{
		{pipeline.Task{SQL: &pipeline.SQL{File: "sql/a.sql"}}, `"" "" "sql/a.sql" "" ""`},
		{pipeline.Task{SQL: &pipeline.SQL{File: "sql/a.sql", Target: &pipeline.Target{Into: "s.a", Mode: pipeline.Merge}}}, `"s.a" "merge" "sql/a.sql" "" ""`},
		{pipeline.Task{Load: &pipeline.Load{Into: "s.a"}}, `"s.a" "append" "" "" ""`},
		{pipeline.Task{Train: &pipeline.Train{Model: "m", Source: "f", File: "sql/f.sql"}}, `"" "" "sql/f.sql" "f" "m"`},
		{pipeline.Task{Score: &pipeline.Score{Model: "m", Source: "s.f", Target: pipeline.Target{Into: "s.p", Mode: pipeline.Replace}}}, `"s.p" "replace" "" "s.f" "m"`},
		{pipeline.Task{Features: &pipeline.Features{Source: "f", File: "sql/f.sql", Target: pipeline.Target{Into: "s.w", Mode: pipeline.Replace}}}, `"s.w" "replace" "sql/f.sql" "f" ""`},
	}
	for _, test := range tests {
		var mode pipeline.Mode
		if target := test.task.Target(); target != nil {
			mode = target.Mode
		}
		if got := fmt.Sprintf("%q %q %q %q %q", test.task.Into(), mode, test.task.File(), test.task.Source(), test.task.ModelName()); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}

// TestTaskByName finds tasks and keeps their order.
func TestTaskByName(t *testing.T) {
	t.Parallel()
	p := pipeline.Pipeline{Tasks: []*pipeline.Task{{Name: "b"}, {Name: "a"}}}
	if p.Task("a") != p.Tasks[1] || p.Task("c") != nil || fmt.Sprint(p.TaskNames()) != "[b a]" {
		t.Errorf("Task(a) = %v, Task(c) = %v, names %v", p.Task("a"), p.Task("c"), p.TaskNames())
	}
}

// TestTaskSQLFiles takes the files of a task's items and inputs for read, and a program for none of SQL.
func TestTaskSQLFiles(t *testing.T) {
	t.Parallel()
	tests := []struct {
		task pipeline.Task
		want string
	}{
		{pipeline.Task{HTTP: &pipeline.HTTP{}}, "[]"},
		{pipeline.Task{SQL: &pipeline.SQL{File: "sql/a.sql"}, Map: &pipeline.Map{File: "sql/cities.sql"}}, "[sql/a.sql sql/cities.sql]"},
		{pipeline.Task{Branch: &pipeline.Branch{File: "sql/b.sql"}}, "[sql/b.sql]"},
		{pipeline.Task{Process: &pipeline.Process{File: "python/a.py", Inputs: []pipeline.Input{
			{Name: "a", File: "sql/a.sql"}, {Name: "b", Table: "s.b"}, {Name: "c", File: "sql/a.sql"},
		}}}, "[sql/a.sql]"},
	}
	for _, test := range tests {
		if got := fmt.Sprint(test.task.SQLFiles()); got != test.want {
			t.Errorf("%+v reads %s, want %s", test.task, got, test.want)
		}
	}
}
