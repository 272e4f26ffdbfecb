package tasks

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/schedule"
	"damson/internal/store"
	"damson/internal/template/airflow"
)

// Starter makes runs of other pipelines, or clears them. Asked again for the same claim it gives the same run and does
// nothing else. When it returns, what the store has of the run is of this start or a later one.
type Starter interface {
	Start(ctx context.Context, pipeline string, date time.Time, params map[string]any, by run.Claim) (runID string, err error)
}

// triggerExecutor makes a run of another pipeline.
type triggerExecutor struct{ *Shop }

// triggered is what a trigger reports.
type triggered struct {
	RunID string `json:"run_id"`
}

// lookAgain is the time between two looks at a run that a trigger waits for: soon at first, since most runs are short.
func (e triggerExecutor) lookAgain(w engine.Work) time.Duration {
	if w.Since.IsZero() {
		return 100 * time.Millisecond
	}
	return min(max(e.Clock.Now().Sub(w.Since)/4, 100*time.Millisecond), 5*time.Second)
}

// Execute starts the run and, when it is to wait, looks again until that run has ended. A retry runs it again. It cannot
// know whether it has looked before: that an ended run is the one it asked for shows in when it ended, and else the Starter,
// which knows the claim, says so.
func (e triggerExecutor) Execute(ctx context.Context, w engine.Work) (engine.Outcome, error) {
	c, err := e.workContext(ctx, w)
	if err != nil {
		return engine.Outcome{}, err
	}
	start, params, err := e.wanted(w.Task, c)
	if err != nil {
		return engine.Outcome{}, err
	}
	t := w.Task.Trigger
	if t.Wait {
		r, err := e.runFrom(ctx, t.Pipeline, start)
		if err != nil || r != nil && r.State.Ended() && !w.Since.IsZero() && !r.Ended.Before(w.Since) {
			return e.seen(w, r, err)
		}
	}
	if e.Starter == nil {
		return engine.Outcome{}, engine.GiveUp(diag.Finding{At: w.Task.At, Summary: "Nobody is here to run other pipelines",
			Detail: fmt.Sprintf("Task %s makes a run of %s, which a scheduler does.", w.Task.Name, t.Pipeline), Fix: "Run it under `damson serve`."})
	}
	id, err := e.Starter.Start(ctx, t.Pipeline, start, params, w.Claims[0])
	switch {
	case err != nil:
		return engine.Outcome{}, err
	case !t.Wait:
		w.Log.Infof("started run %s", id)
		return engine.Outcome{Result: triggered{id}}, nil
	}
	r, err := e.runFrom(ctx, t.Pipeline, start)
	if err == nil && r == nil {
		return engine.Outcome{Again: e.lookAgain(w), Waits: fmt.Sprintf("run %s is not there yet", id)}, nil
	}
	return e.seen(w, r, err)
}

// wanted gives the start of the data interval to run and the parameters, rendered.
func (e triggerExecutor) wanted(t *pipeline.Task, c airflow.Context) (start time.Time, params map[string]any, err error) {
	p, err := e.Project.Pipeline(t.Trigger.Pipeline)
	if err != nil {
		f := diag.AsFinding("Unknown pipeline", err)
		f.At = t.At
		return start, nil, engine.GiveUp(f)
	}
	date := c.Start
	if t.Trigger.Date != "" {
		text, err := e.Renderer.RenderText(t, t.Trigger.Date, c)
		if err != nil {
			return start, nil, err
		}
		if date, err = moment(text, c.Location); err != nil {
			return start, nil, engine.GiveUp(diag.Finding{At: t.At, Summary: "Not a date or time",
				Detail: fmt.Sprintf("date of task %s gives %q.", t.Name, e.Project.Redact(text)), Fix: momentFix, Cause: err})
		}
	}
	s, err := schedule.Parse(p.Schedule, p.Timezone)
	if err != nil {
		return start, nil, err
	}
	if start, _ = s.IntervalOf(date); s.Once() {
		start = p.Start
	}
	for name, text := range t.Trigger.Params {
		rendered, err := e.Renderer.RenderText(t, text, c)
		if err != nil {
			return start, nil, err
		}
		if params == nil {
			params = map[string]any{}
		}
		params[name] = param(rendered, p.Params[name])
	}
	return start, params, nil
}

// param reads the text of a parameter as the kind of value that the pipeline declares, where it is one.
func param(text string, declared any) any {
	switch declared.(type) {
	case bool, int, int64, float64, json.Number:
		switch text {
		case "True":
			return true
		case "False":
			return false
		}
		var v any
		if json.Unmarshal([]byte(text), &v) == nil {
			return plainItem(v)
		}
	}
	return text
}

// runFrom gives the run of a pipeline whose data interval begins then, nil when there is none.
func (s *Shop) runFrom(ctx context.Context, name string, start time.Time) (*run.Run, error) {
	runs, err := s.Past.Runs(ctx, store.RunFilter{Pipeline: name, From: start, To: start, Limit: 1})
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	return &runs[0], nil
}

// seen makes an outcome of the run's state.
func (e triggerExecutor) seen(w engine.Work, r *run.Run, err error) (engine.Outcome, error) {
	switch {
	case err != nil:
		return engine.Outcome{}, err
	case r.State == run.Success:
		w.Log.Infof("run %s is success", r.ID)
		return engine.Outcome{Result: triggered{r.ID}}, nil
	case r.State == run.Failed:
		why := ""
		if r.Reason != "" {
			why = ": " + r.Reason
		}
		return engine.Outcome{}, diag.Finding{At: w.Task.At, Summary: "The run it started has failed",
			Detail: fmt.Sprintf("Run %s is failed%s.", r.ID, why),
			Fix:    fmt.Sprintf("`damson why %s` tells what failed there. A retry of task %s runs it again.", r.ID, w.Task.Name)}
	}
	return engine.Outcome{Again: e.lookAgain(w), Waits: fmt.Sprintf("run %s is %s", r.ID, r.State)}, nil
}
