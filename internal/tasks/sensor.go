package tasks

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/load/glob"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/store"
)

// sensorExecutor looks once whether something is there. It holds neither a transaction nor a worker between two looks.
type sensorExecutor struct{ *Shop }

// look is what a sensor saw.
type look struct {
	there bool
	what  string        // in words: what is there, or what it waits for
	left  time.Duration // when it is known how long to wait: that long; 0 = look again after Every
}

// sensed is what a sensor reports.
type sensed struct {
	Found  string  `json:"found"`
	Waited float64 `json:"waited_seconds"`
}

// Execute looks. When nothing is there and the patience is over, the task fails, or is skipped, at once: a retry would only
// begin the same wait again.
func (e sensorExecutor) Execute(ctx context.Context, w engine.Work) (engine.Outcome, error) {
	now := e.Clock.Now()
	since := w.Since
	if since.IsZero() {
		since = now
	}
	s := w.Task.Sensor
	saw, err := e.look(ctx, w, now)
	if err != nil {
		return engine.Outcome{}, err
	}
	waited := now.Sub(since)
	if saw.there {
		w.Log.Infof("%s", saw.what)
		return engine.Outcome{Result: sensed{saw.what, waited.Round(time.Millisecond).Seconds()}}, nil
	}
	again := s.Every
	if saw.left > 0 {
		again = saw.left
	}
	if s.Patience > 0 {
		if waited >= s.Patience {
			return e.giveUp(w, saw)
		}
		again = min(again, s.Patience-waited)
	}
	return engine.Outcome{Again: max(again, time.Millisecond), Waits: saw.what}, nil
}

func (e sensorExecutor) giveUp(w engine.Work, saw look) (engine.Outcome, error) {
	patience := inWords(w.Task.Sensor.Patience)
	if w.Task.Sensor.SoftFail {
		return engine.Outcome{Skip: fmt.Sprintf("its patience of %s is over: %s", patience, saw.what)}, nil
	}
	return engine.Outcome{}, engine.GiveUp(diag.Finding{At: w.Task.At, Summary: "What the sensor waits for has not come",
		Detail: fmt.Sprintf("After %s %s.", patience, saw.what),
		Fix:    fmt.Sprintf("When it is there, clear task %s of run %s; or give it more patience.", w.Task.Name, w.Runs[0].ID)})
}

// inWords writes a duration without zero parts: 5m, not 5m0s.
func inWords(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (e sensorExecutor) look(ctx context.Context, w engine.Work, now time.Time) (look, error) {
	s := w.Task.Sensor
	switch {
	case s.File != "":
		a, err := e.ask(ctx, w, s.File, 1)
		return look{there: truthy(a.first()), what: fmt.Sprintf("%s gives %s", s.File, given(a))}, err
	case s.Files != "":
		return e.files(ctx, w)
	case s.Until != "":
		text, err := e.renderText(ctx, w, s.Until)
		if err != nil {
			return look{}, err
		}
		zone, err := zoneOf(w.Pipeline)
		if err != nil {
			return look{}, err
		}
		at, err := moment(text, zone)
		if err != nil {
			return look{}, engine.GiveUp(diag.Finding{At: w.Task.At, Summary: "Not a date or time",
				Detail: fmt.Sprintf("until of task %s gives %q.", w.Task.Name, e.Project.Redact(text)), Fix: momentFix, Cause: err})
		}
		return clockLook(at, zone, now), nil
	case s.Pipeline != "":
		return e.other(ctx, w)
	}
	zone, err := zoneOf(w.Pipeline)
	return clockLook(w.End.Add(s.After), zone, now), err
}

// clockLook compares a moment with now.
func clockLook(at time.Time, zone *time.Location, now time.Time) look {
	shown := at.In(zone).Format("2006-01-02 15:04:05 MST")
	if now.Before(at) {
		return look{what: "it is not yet " + shown, left: at.Sub(now)}
	}
	return look{there: true, what: "it is past " + shown}
}

// files looks for files by a glob.
func (e sensorExecutor) files(ctx context.Context, w engine.Work) (look, error) {
	pattern, err := e.renderText(ctx, w, w.Task.Sensor.Files)
	if err != nil {
		return look{}, err
	}
	found, err := glob.List(e.Project.Dir, pattern)
	if f := (diag.Finding{}); errors.As(err, &f) {
		f.At = w.Task.At
		err = f
	}
	switch {
	case err != nil:
		return look{}, err
	case len(found) == 0:
		return look{what: fmt.Sprintf("no file matches %q", pattern)}, nil
	}
	first, err := filepath.Rel(e.Project.Dir, found[0])
	if err != nil || strings.HasPrefix(first, "..") {
		first = found[0]
	}
	if len(found) == 1 {
		return look{there: true, what: filepath.ToSlash(first) + " is there"}, nil
	}
	return look{there: true, what: fmt.Sprintf("%d files are there, %s the first", len(found), filepath.ToSlash(first))}, nil
}

// other looks at another pipeline's run. One that has failed is waited for too: it may be cleared.
func (e sensorExecutor) other(ctx context.Context, w engine.Work) (look, error) {
	s := w.Task.Sensor
	zone, err := zoneOf(w.Pipeline)
	if err != nil {
		return look{}, err
	}
	at := moved(w.Start.In(zone), s.Offset)
	r, err := e.runAt(ctx, s.Pipeline, at)
	if err != nil {
		return look{}, err
	}
	if r == nil {
		return look{what: fmt.Sprintf("pipeline %s has no run for %s", s.Pipeline, at.Format("2006-01-02 15:04"))}, nil
	}
	if s.Task == "" {
		return look{there: r.State == run.Success, what: fmt.Sprintf("run %s is %s", r.ID, r.State)}, nil
	}
	tasks, err := e.Past.TaskRuns(ctx, r.ID)
	if err != nil {
		return look{}, err
	}
	i := slices.IndexFunc(tasks, func(t run.TaskRun) bool { return t.Task == s.Task })
	if i < 0 {
		return look{what: fmt.Sprintf("run %s has no task %s yet", r.ID, s.Task)}, nil
	}
	return look{there: tasks[i].State == run.Success, what: fmt.Sprintf("task %s of run %s is %s", s.Task, r.ID, tasks[i].State)}, nil
}

// moved adds an offset whose whole days are days of the calendar: the day before one of 23 hours begins 24 hours earlier.
func moved(t time.Time, offset time.Duration) time.Time {
	const day = 24 * time.Hour
	return t.AddDate(0, 0, int(offset/day)).Add(offset % day)
}

// runAt gives the run of a pipeline whose data interval holds the moment, nil when there is none.
func (s *Shop) runAt(ctx context.Context, name string, at time.Time) (*run.Run, error) {
	// A run by hand may begin between the one that is looked for and the moment; many do not.
	before, err := s.Past.Runs(ctx, store.RunFilter{Pipeline: name, To: at, Newest: true, Limit: 20})
	if err != nil {
		return nil, err
	}
	for _, r := range before {
		if r.End.After(at) || r.Start.Equal(at) {
			return &r, nil
		}
	}
	return nil, nil
}

const momentFix = `Let it give a date, "2007-04-12", or a time, "2007-04-12 06:00" or "2007-04-12T06:00:00+02:00"; without offset it is meant in the pipeline's zone.`

// moment reads a date or a time as templates write them.
func moment(text string, zone *time.Location) (time.Time, error) {
	text = strings.TrimSpace(text)
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02T15:04:05",
		"2006-01-02 15:04:05Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02 15:04Z07:00"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return time.ParseInLocation(time.RFC3339, text, zone)
}

// waitsFor tells what a sensor waits for, for people; texts are rendered.
func waitsFor(s pipeline.Sensor, rendered string) string {
	switch {
	case s.Files != "":
		return fmt.Sprintf("a file that matches %s", rendered)
	case s.Until != "":
		return rendered
	case s.Task != "":
		return fmt.Sprintf("task %s of pipeline %s", s.Task, s.Pipeline)
	case s.Pipeline != "":
		return fmt.Sprintf("the run of pipeline %s", s.Pipeline)
	}
	return inWords(s.After) + " after the end of the data interval"
}
