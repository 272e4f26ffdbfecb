package runcmd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"damson/internal/cli/console"
	"damson/internal/project"
	"damson/internal/run"
	"damson/internal/store"
)

// whyAnswer is what `why` knows of its subject.
type whyAnswer struct {
	Subject string         `json:"subject"`
	Run     *run.Run       `json:"run,omitempty"`
	Task    *run.TaskRun   `json:"task,omitempty"`
	Tasks   []whyTask      `json:"tasks,omitempty"`   // of a run: those that failed or wait
	Reasons []store.Reason `json:"reasons,omitempty"` // as the scheduler recorded them, oldest first
	History []run.Change   `json:"history,omitempty"` // of a task run
	Runs    []whyRun       `json:"runs,omitempty"`    // of a pipeline: those that have not ended, and the last one that failed
	Alerts  []store.Alert  `json:"alerts,omitempty"`
	Leader  string         `json:"leader,omitempty"`
}

// whyTask is a task run with the reason that holds it up.
type whyTask struct {
	run.TaskRun
	Why   string    `json:"why"`
	Since time.Time `json:"since,omitzero"`
}

// whyRun is a run with the reason that holds it up.
type whyRun struct {
	run.Run
	Why   string    `json:"why"`
	Since time.Time `json:"since,omitzero"`
}

func (a *app) whyCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "why [PIPELINE | RUN | RUN TASK]",
		Short: "why something failed or does not run, as it was recorded",
		Long: `Tells what the scheduler knew each time it passed over something that waits: upstream tasks, a full pool, a paused
pipeline, the past, a retry that is due later. Nothing is guessed afterwards: reasons are kept with their times.`,
		Example: `  damson why
  damson why geolife
  damson why geolife@2007-05-13
  damson why geolife@2007-05-13 clean_daily_trajectory`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.WithRecords(cmd.Context(), func(records console.Records) error {
				p, s := records.Project, records.Store
				answer, err := a.why(cmd.Context(), p, s, args)
				if err != nil {
					return err
				}
				if asJSON {
					return a.PrintJSON(answer)
				}
				a.printWhy(p, answer)
				return nil
			})
		},
		ValidArgsFunction: a.completeRunTask(true),
	}
	console.JSONFlag(cmd, &asJSON)
	return cmd
}

// why gathers what is recorded of the subject.
func (a *app) why(ctx context.Context, p *project.Project, s *store.Store, args []string) (whyAnswer, error) {
	if len(args) == 0 {
		return a.whyAll(ctx, p, s)
	}
	if len(args) == 1 && !strings.Contains(args[0], "@") {
		if err := knownPipeline(ctx, p, s, args[0]); err != nil {
			return whyAnswer{}, err
		}
		return a.whyPipeline(ctx, p, s, args[0])
	}
	id, task := args[0], ""
	if len(args) == 2 {
		task = args[1]
	} else if at := strings.LastIndex(id, "."); at > strings.Index(id, "@") {
		if found, err := s.Runs(ctx, store.RunFilter{IDs: []string{id}}); err == nil && len(found) == 0 { // geolife@2007-05-13.clean
			id, task = id[:at], id[at+1:]
		}
	}
	r, err := findRun(ctx, p, s, id)
	if err != nil {
		return whyAnswer{}, err
	}
	if task == "" {
		return a.whyOfRun(ctx, p, s, *r)
	}
	if err := findTaskRun(ctx, s, r.ID, task); err != nil {
		return whyAnswer{}, err
	}
	return a.whyOfTask(ctx, s, *r, task)
}

// whyAll tells what a person should look at.
func (a *app) whyAll(ctx context.Context, p *project.Project, s *store.Store) (answer whyAnswer, err error) {
	leader, err := a.LeaderOf(ctx, p, s)
	if err != nil {
		return answer, err
	}
	if leader != nil {
		answer.Leader = fmt.Sprintf("process %d on %s", leader.PID, leader.Host)
	}
	if answer.Alerts, err = s.Alerts(ctx, 20); err != nil {
		return answer, err
	}
	answer.Runs, err = a.openRuns(ctx, s, "")
	return answer, err
}

// whyPipeline tells why a pipeline makes no run, and how its runs stand.
func (a *app) whyPipeline(ctx context.Context, p *project.Project, s *store.Store, name string) (whyAnswer, error) {
	answer := whyAnswer{Subject: name}
	leader, err := a.LeaderOf(ctx, p, s)
	if err != nil {
		return answer, err
	}
	if leader != nil {
		answer.Leader = fmt.Sprintf("process %d on %s", leader.PID, leader.Host)
	}
	if answer.Reasons, err = s.Reasons(ctx, name); err != nil {
		return answer, err
	}
	answer.Runs, err = a.openRuns(ctx, s, name)
	return answer, err
}

// openRuns lists the runs that have not ended, and the last one that failed.
func (a *app) openRuns(ctx context.Context, s *store.Store, name string) ([]whyRun, error) {
	open, err := s.Runs(ctx, store.RunFilter{Pipeline: name, States: []run.State{run.Queued, run.Running}, Limit: 20})
	if err != nil {
		return nil, err
	}
	failed, err := s.Runs(ctx, store.RunFilter{Pipeline: name, States: []run.State{run.Failed}, Newest: true, Limit: 3})
	if err != nil {
		return nil, err
	}
	var all []whyRun
	for _, r := range append(open, failed...) {
		w := whyRun{Run: r, Why: r.Reason, Since: r.Ended}
		if r.State == run.Queued {
			reasons, err := s.Reasons(ctx, r.ID)
			if err != nil {
				return nil, err
			}
			if n := len(reasons); n > 0 {
				w.Why, w.Since = reasons[n-1].Text, reasons[n-1].At
			}
		}
		all = append(all, w)
	}
	return all, nil
}

// whyOfRun tells what of a run failed or waits.
func (a *app) whyOfRun(ctx context.Context, p *project.Project, s *store.Store, r run.Run) (whyAnswer, error) {
	answer := whyAnswer{Subject: r.ID, Run: &r}
	tasks, err := s.TaskRuns(ctx, r.ID)
	if err != nil {
		return answer, err
	}
	recorded, err := s.ReasonsOf(ctx, r.ID)
	if err != nil {
		return answer, err
	}
	latest := map[string]store.Reason{}
	for _, reason := range recorded {
		latest[reason.Subject] = reason
	}
	if own, ok := latest[r.ID]; ok && r.State == run.Queued {
		answer.Reasons = []store.Reason{own}
	}
	for _, t := range inPipelineOrder(p, r.Pipeline, tasks) {
		w := whyTask{TaskRun: t, Why: t.Reason, Since: t.Ended}
		reason, waits := latest[r.ID+" "+t.Task]
		switch {
		case t.State == run.Success || t.State == run.Skipped && t.Reason == "":
			continue
		case !t.State.Ended() && t.State != run.Running && waits && reason.Text != "":
			w.Why, w.Since = reason.Text, reason.At
		case t.State == run.Running:
			w.Why, w.Since = "it is being executed", t.Started
		}
		answer.Tasks = append(answer.Tasks, w)
	}
	return answer, nil
}

// whyOfTask tells all that is recorded of a task run.
func (a *app) whyOfTask(ctx context.Context, s *store.Store, r run.Run, task string) (answer whyAnswer, err error) {
	answer = whyAnswer{Subject: r.ID + " " + task, Run: &r}
	tasks, err := s.TaskRuns(ctx, r.ID)
	if err != nil {
		return answer, err
	}
	if at := slices.IndexFunc(tasks, func(t run.TaskRun) bool { return t.Task == task }); at >= 0 {
		answer.Task = &tasks[at]
	}
	if answer.Reasons, err = s.Reasons(ctx, answer.Subject); err != nil {
		return answer, err
	}
	answer.History, err = s.History(ctx, r.ID, task)
	return answer, err
}

// printWhy tells an answer to people.
func (a *app) printWhy(p *project.Project, w whyAnswer) {
	switch {
	case w.Task != nil:
		a.printWhyTask(w)
	case w.Run != nil:
		a.printWhyRun(w)
	default:
		a.printWhyPipeline(p, w)
	}
}

func (a *app) printWhyPipeline(p *project.Project, w whyAnswer) {
	if w.Leader == "" {
		a.Printf("No server runs: nothing is scheduled by itself. `damson serve` starts one.\n")
	} else {
		a.Printf("Led by %s.\n", w.Leader)
	}
	if n := len(w.Reasons); n > 0 && w.Reasons[n-1].Text != "" {
		a.Printf("%s: %s (since %s)\n", a.Style(console.StyleHead, w.Subject), w.Reasons[n-1].Text, moment(w.Reasons[n-1].At))
	}
	if len(w.Runs) == 0 {
		a.Printf("Nothing is open and nothing has failed.\n")
	} else {
		g := console.NewGrid("run", "state", "since", "why").Sentences()
		for _, r := range w.Runs {
			since := r.Since
			if since.IsZero() {
				since = r.Started
			}
			g.Add(r.ID, a.State(string(r.State)), moment(since), console.FirstLine(r.Why))
		}
		g.Print(a.App)
		a.Printf("`damson why RUN` tells more.\n")
	}
	if len(w.Alerts) > 0 {
		a.Printf("\nAlerts, the latest first:\n")
		g := console.NewGrid("at", "kind", "of", "what").Sentences()
		for _, alert := range w.Alerts {
			of := alert.RunID
			if of == "" {
				of = alert.Pipeline
			}
			g.Add(moment(alert.At), alert.Kind, of, console.FirstLine(alert.Text))
		}
		g.Print(a.App)
	}
}

func (a *app) printWhyRun(w whyAnswer) {
	a.Printf("%s  %s  %s\n", a.Style(console.StyleHead, w.Run.ID), a.State(string(w.Run.State)), console.FirstLine(w.Run.Reason))
	for _, r := range w.Reasons {
		a.Printf("It waits: %s (since %s)\n", r.Text, moment(r.At))
	}
	if len(w.Tasks) == 0 {
		a.Printf("All its tasks succeeded.\n")
		return
	}
	for _, t := range w.Tasks {
		a.Printf("%s  %s  %s\n", t.Task, a.State(string(t.State)), a.Style(console.StyleQuiet, moment(t.Since)))
		if t.Why != "" {
			a.Printf("    %s\n", strings.ReplaceAll(t.Why, "\n", "\n    "))
		}
	}
	a.Printf("`damson why %s TASK` tells how it came to that; `damson logs %s TASK` what it wrote.\n", w.Run.ID, w.Run.ID)
}

func (a *app) printWhyTask(w whyAnswer) {
	a.Printf("%s  %s, attempt %d\n", a.Style(console.StyleHead, w.Subject), a.State(string(w.Task.State)), w.Task.Attempt)
	if w.Task.Reason != "" {
		a.Printf("    %s\n", strings.ReplaceAll(w.Task.Reason, "\n", "\n    "))
	}
	type line struct {
		at   time.Time
		text string
	}
	var lines []line
	for _, r := range w.Reasons {
		text := "waits: " + r.Text
		if r.Text == "" {
			text = "nothing holds it up any more"
		}
		lines = append(lines, line{r.At, text})
	}
	for _, h := range w.History {
		text := fmt.Sprintf("%s → %s", h.From, a.State(string(h.To)))
		if h.Reason != "" {
			text += ": " + console.FirstLine(h.Reason)
		}
		lines = append(lines, line{h.At, text})
	}
	slices.SortStableFunc(lines, func(x, y line) int { return x.at.Compare(y.at) })
	for _, l := range lines {
		a.Printf("%s  %s\n", a.Style(console.StyleQuiet, moment(l.at)), l.text)
	}
	if len(lines) == 0 {
		a.Printf("Nothing is recorded of it yet.\n")
	}
}

// moment writes an instant for people, in UTC.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateTime)
}
