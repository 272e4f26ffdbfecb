package runcmd

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"damson/internal/cli/console"
	"damson/internal/engine"
	"damson/internal/run"
)

// progress shows how a plan advances: a bar on a terminal, a line now and then elsewhere. It is an engine.Observer.
type progress struct {
	app      *app
	name     string
	out      io.Writer
	bars     *mpb.Progress
	bar      *mpb.Bar
	started  time.Time
	nextLine time.Time
	took     map[string]time.Duration // by task: the time of its executions, a batch counted once
	counted  map[execution]bool
}

// execution tells the task runs of one batch from those of another: they started together.
type execution struct {
	task    string
	started time.Time
}

// lineEvery is how often progress is told where there is no terminal.
const lineEvery = 5 * time.Second

func (a *app) newProgress(name string, tasks int) *progress {
	p := &progress{app: a, name: name, out: a.Err, started: a.Clock.Now(), took: map[string]time.Duration{}, counted: map[execution]bool{}}
	p.nextLine = p.started.Add(lineEvery)
	if live, width := console.IsTerminal(a.Err); live {
		p.bars = mpb.New(mpb.WithOutput(a.Err), mpb.WithWidth(min(width-50, 40)), mpb.WithRefreshRate(100*time.Millisecond))
		p.bar = p.bars.AddBar(int64(tasks),
			mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR), decor.CountersNoUnit("%d/%d", decor.WCSyncSpace)),
			mpb.AppendDecorators(decor.Percentage(decor.WCSyncSpace), decor.Name("  "), decor.Elapsed(decor.ET_STYLE_MMSS)))
	}
	return p
}

// Observe notes an event of the engine.
func (p *progress) Observe(e engine.Event) {
	if e.Kind == engine.TaskEnded {
		p.note(e.Task)
	}
	if e.Kind == engine.TaskRetried {
		p.say("%s %s: attempt %d failed, the next is due at %s\n  %s\n", e.Run.ID, e.Task.Task, e.Task.Attempt,
			e.Task.NotBefore.Format(time.TimeOnly), strings.ReplaceAll(e.Task.Reason, "\n", "\n  "))
	}
	if p.bar != nil {
		p.bar.SetTotal(int64(e.Progress.Tasks), false)
		p.bar.SetCurrent(int64(e.Progress.TasksEnded))
		return
	}
	if !e.At.Before(p.nextLine) && e.Progress.Tasks > 0 {
		p.nextLine = e.At.Add(lineEvery)
		fmt.Fprintf(p.out, "%s: %d of %d tasks, %d of %d runs, %s\n", p.name, e.Progress.TasksEnded, e.Progress.Tasks,
			e.Progress.RunsEnded, e.Progress.Runs, console.Seconds(e.At.Sub(p.started)))
	}
}

// set tells how many of something are done, where no engine is observed.
func (p *progress) set(what string, done, total int, now time.Time) {
	if p.bar != nil {
		p.bar.SetTotal(int64(total), false)
		p.bar.SetCurrent(int64(done))
		return
	}
	if !now.Before(p.nextLine) {
		p.nextLine = now.Add(lineEvery)
		fmt.Fprintf(p.out, "%s: %d of %d %s, %s\n", p.name, done, total, what, console.Seconds(now.Sub(p.started)))
	}
}

// say writes a line, above the live bar when there is one.
func (p *progress) say(format string, args ...any) {
	var to io.Writer = p.out
	if p.bars != nil {
		to = p.bars
	}
	fmt.Fprintf(to, format, args...)
}

// note adds up what an execution took.
func (p *progress) note(t run.TaskRun) {
	if x := (execution{t.Task, t.Started}); !t.Started.IsZero() && !p.counted[x] {
		p.counted[x] = true
		p.took[t.Task] += t.Ended.Sub(t.Started)
	}
}

// stop ends the live bar, leaving it as it stands.
func (p *progress) stop() {
	if p.bar != nil {
		if !p.bar.Completed() {
			p.bar.Abort(false)
		}
		p.bars.Wait()
	}
}

// printFailures prints the failed task runs of a report, each once, with what to do next.
func (a *app) printFailures(pipeline string, failures []engine.Failure) {
	for i, f := range failures {
		if i == 5 {
			a.Printf("… and %d more: %s\n", len(failures)-i, whereMore(pipeline, failures[i:]))
			break
		}
		a.Printf("%s %s, attempt %d\n  %s\n", a.Style(console.StyleBad, "failed"), f.RunID+" "+f.Task, f.Attempt, strings.ReplaceAll(f.Reason, "\n", "\n  "))
	}
}

// whereMore names the commands that show failures: those of each run, in up to three runs.
func whereMore(pipeline string, failures []engine.Failure) string {
	var commands []string
	for _, f := range failures {
		if command := "damson why " + f.RunID; !slices.Contains(commands, command) {
			commands = append(commands, command)
		}
	}
	if n := len(commands); n > 3 {
		return fmt.Sprintf("damson why RUN, for each of %d runs: damson runs %s --state failed --limit 0", n, pipeline)
	}
	return strings.Join(commands, ", ")
}
