package tasks_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/store"
)

// past is what the store has, as a test says it.
type past struct {
	runs  []run.Run
	tasks []run.TaskRun
}

func (p *past) Runs(_ context.Context, f store.RunFilter) ([]run.Run, error) {
	var found []run.Run
	for _, r := range p.runs {
		if r.Pipeline == f.Pipeline && !r.Start.Before(f.From) && (f.To.IsZero() || !r.Start.After(f.To)) {
			found = append([]run.Run{r}, found...) // the newest first, as the test has them in order
		}
	}
	return found, nil
}

func (p *past) TaskRuns(_ context.Context, ids ...string) ([]run.TaskRun, error) {
	var found []run.TaskRun
	for _, t := range p.tasks {
		if t.RunID == ids[0] {
			found = append(found, t)
		}
	}
	return found, nil
}

func sensor(s pipeline.Sensor) *pipeline.Task {
	if s.Every == 0 {
		s.Every = time.Minute
	}
	return &pipeline.Task{Kind: pipeline.SensorTask, Sensor: &s}
}

// waits looks and expects to have to look again.
func (s *shop) waits(task *pipeline.Task, again time.Duration, what string) {
	s.Helper()
	w, _ := work(task)
	o, err := s.execute(w)
	if err != nil || o.Again != again || o.Waits != what {
		s.Errorf("%+v, %v; want %s: %s", o, err, again, what)
	}
}

// finds looks and expects it to be there.
func (s *shop) finds(task *pipeline.Task, what string) {
	s.Helper()
	w, _ := work(task)
	o, err := s.execute(w)
	if err != nil || o.Again != 0 || !strings.Contains(fmt.Sprintf("%+v", o.Result), what) {
		s.Errorf("%+v, %v; want %s", o, err, what)
	}
}

// TestSensorOfSQL looks at the first value, anew each time.
func TestSensorOfSQL(t *testing.T) {
	t.Parallel()
	s := openKinds(t, map[string]string{"sql/there.sql": `SELECT n > 1 FROM counted WHERE day = '{{ ds }}'`})
	s.exec(`CREATE TABLE counted(day date, n bigint)`)
	task := sensor(pipeline.Sensor{File: "sql/there.sql"})
	s.waits(task, time.Minute, "sql/there.sql gives no row")
	s.exec(`INSERT INTO counted VALUES ('2007-04-12', 1)`)
	s.waits(task, time.Minute, "sql/there.sql gives false")
	s.exec(`UPDATE counted SET n = 2`)
	s.finds(task, "sql/there.sql gives true")
	if got := s.ledger(); got != "" {
		t.Errorf("a sensor wrote to the ledger: %s", got)
	}
}

// TestSensorOfFiles finds files by a templated glob, also where the directory comes with them.
func TestSensorOfFiles(t *testing.T) {
	t.Parallel()
	s := openKinds(t, nil)
	task := sensor(pipeline.Sensor{Files: "data/{{ ds }}/**/*.plt"})
	s.waits(task, time.Minute, `no file matches "data/2007-04-12/**/*.plt"`)
	s.write("data/2007-04-12/note.txt", "")
	s.waits(task, time.Minute, `no file matches "data/2007-04-12/**/*.plt"`)
	s.write("data/2007-04-12/a/b/1.plt", "")
	s.finds(task, "data/2007-04-12/a/b/1.plt is there")
	s.write("data/2007-04-12/2.plt", "")
	s.finds(task, "2 files are there, data/2007-04-12/2.plt the first")
	w, _ := work(sensor(pipeline.Sensor{Files: "data/[a/*"}))
	s.fails(w, false, "Bad glob")
}

// TestSensorOfTime waits exactly as long as it takes, in the pipeline's zone.
func TestSensorOfTime(t *testing.T) {
	t.Parallel()
	s := openKinds(t, nil)
	clk := &stopped{time.Date(2007, 4, 13, 5, 0, 0, 0, time.UTC)}
	s.of.Clock = clk
	after := sensor(pipeline.Sensor{After: 6 * time.Hour})
	s.waits(after, time.Hour, "it is not yet 2007-04-13 06:00:00 UTC")
	for text, left := range map[string]time.Duration{"{{ data_interval_end | ds }} 05:30": 30 * time.Minute, "2007-04-14": 19 * time.Hour,
		"2007-04-13T07:00:01+02:00": time.Second, "{{ next_ds }}T06:00:00": time.Hour, "2007-04-13 05:00:00.5": 500 * time.Millisecond} {
		w, _ := work(sensor(pipeline.Sensor{Until: text}))
		if o, err := s.execute(w); err != nil || o.Again != left {
			t.Errorf("%s: %+v, %v; want %s", text, o, err, left)
		}
	}
	w, _ := work(sensor(pipeline.Sensor{Until: "2007-04-13 08:30"}))
	w.Pipeline.Timezone = "Europe/Berlin"
	if o, err := s.execute(w); err != nil || o.Again != 90*time.Minute || o.Waits != "it is not yet 2007-04-13 08:30:00 CEST" {
		t.Errorf("%+v, %v", o, err)
	}
	w, _ = work(sensor(pipeline.Sensor{Until: "soon"}))
	s.fails(w, true, `"soon"`, "Not a date or time")
	clk.now = clk.now.Add(time.Hour)
	s.finds(after, "it is past 2007-04-13 06:00:00 UTC")
}

// TestSensorOfAPipeline looks at the run that holds this run's start, moved by whole days of the calendar.
func TestSensorOfAPipeline(t *testing.T) {
	t.Parallel()
	s := openKinds(t, nil)
	p := &past{}
	s.of.Past = p
	week := func(start string, state run.State) run.Run {
		at, _ := time.Parse(time.DateOnly, start)
		return run.Run{ID: run.NewID("weekly", at), Pipeline: "weekly", Start: at, End: at.AddDate(0, 0, 7), State: state}
	}
	task := sensor(pipeline.Sensor{Pipeline: "weekly"})
	s.waits(task, time.Minute, "pipeline weekly has no run for 2007-04-12 00:00")
	p.runs = []run.Run{week("2007-04-01", run.Success)}
	s.waits(task, time.Minute, "pipeline weekly has no run for 2007-04-12 00:00")
	p.runs = append(p.runs, week("2007-04-08", run.Failed))
	s.waits(task, time.Minute, "run weekly@2007-04-08 is failed")
	byHand := week("2007-04-10", run.Failed)
	byHand.End = byHand.Start
	p.runs = append(p.runs, byHand, week("2007-04-15", run.Failed))
	p.runs[1].State = run.Success
	s.finds(task, "run weekly@2007-04-08 is success")
	s.finds(sensor(pipeline.Sensor{Pipeline: "weekly", Offset: -7 * 24 * time.Hour}), "run weekly@2007-04-01 is success")

	task = sensor(pipeline.Sensor{Pipeline: "weekly", Task: "sum"})
	p.runs[1].State = run.Running
	s.waits(task, time.Minute, "run weekly@2007-04-08 has no task sum yet")
	p.tasks = []run.TaskRun{{RunID: "weekly@2007-04-08", Task: "other", State: run.Failed}, {RunID: "weekly@2007-04-08", Task: "sum", State: run.Running}}
	s.waits(task, time.Minute, "task sum of run weekly@2007-04-08 is running")
	p.tasks[1].State = run.Success
	s.finds(task, "task sum of run weekly@2007-04-08 is success")

	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	p.runs = nil
	for day := 24; day <= 26; day++ { // the 25th has 23 hours
		start := time.Date(2007, 3, day, 0, 0, 0, 0, zone)
		p.runs = append(p.runs, run.Run{ID: run.NewID("weekly", start), Pipeline: "weekly", Start: start, End: start.AddDate(0, 0, 1), State: run.Success})
	}
	w, _ := work(sensor(pipeline.Sensor{Pipeline: "weekly", Offset: -24 * time.Hour}))
	w.Pipeline.Timezone, w.Start = "Europe/Berlin", time.Date(2007, 3, 26, 0, 0, 0, 0, zone).UTC()
	if got := s.result(w); !strings.Contains(got, "weekly@2007-03-25 ") {
		t.Errorf("the day before the 26th is %s", got)
	}
}

// TestPatience: a sensor whose patience is over fails for good, or is skipped; it looks once more when it ends.
func TestPatience(t *testing.T) {
	t.Parallel()
	s := openKinds(t, nil)
	clk := &stopped{time.Date(2007, 4, 13, 5, 0, 0, 0, time.UTC)}
	s.of.Clock = clk
	task := sensor(pipeline.Sensor{Files: "x", Every: 10 * time.Minute, Patience: 25 * time.Minute})
	w, _ := work(task)
	for _, since := range []time.Duration{0, 10 * time.Minute, 20 * time.Minute} {
		w.Since = time.Time{}
		if since > 0 {
			w.Since = clk.now.Add(-since)
		}
		if o, err := s.execute(w); err != nil || o.Again != min(10*time.Minute, 25*time.Minute-since) {
			t.Errorf("after %s: %+v, %v", since, o, err)
		}
	}
	w.Since = clk.now.Add(-25 * time.Minute)
	s.fails(w, true, `After 25m no file matches "x"`, "clear task it of run p@2007-04-12")
	task.Sensor.SoftFail = true
	if o, err := s.execute(w); err != nil || o.Skip != `its patience of 25m is over: no file matches "x"` {
		t.Errorf("%+v, %v", o, err)
	}
	s.write("x", "")
	s.finds(task, "x is there")
}
