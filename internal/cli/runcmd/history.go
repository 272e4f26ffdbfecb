package runcmd

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"damson/internal/cli/console"
	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/project"
	"damson/internal/run"
	"damson/internal/store"
)

var runStates = []string{string(run.Queued), string(run.Running), string(run.Success), string(run.Failed)}

func checkRunState(text string) error {
	if text == "" || slices.Contains(runStates, text) {
		return nil
	}
	return console.Usage("Unknown state", fmt.Sprintf("%q is no state of a run. There are: %s.", text, strings.Join(runStates, ", ")), diag.DidYouMean(text, runStates))
}

// knownPipeline refuses a name that neither the project nor a run has: a pipeline that is gone, or cannot be read now, keeps its runs.
func knownPipeline(ctx context.Context, p *project.Project, s *store.Store, name string) error {
	_, unknown := console.ChoosePipeline(p, name, nil)
	if unknown == nil {
		return nil
	}
	runs, err := s.Runs(ctx, store.RunFilter{Pipeline: name, Limit: 1})
	if err == nil && len(runs) == 0 {
		return unknown
	}
	return err
}

func (a *app) runsCommand() *cobra.Command {
	var pipelineName, state string
	var limit int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "runs [PIPELINE]",
		Short: "list runs, the latest data interval first",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				pipelineName = args[0]
			}
			if err := console.CheckLimit(limit); err != nil {
				return err
			}
			if err := checkRunState(state); err != nil {
				return err
			}
			return a.WithRecords(cmd.Context(), func(records console.Records) error {
				p, s := records.Project, records.Store
				filter := store.RunFilter{Pipeline: pipelineName, Limit: limit, Newest: true}
				if pipelineName != "" {
					if err := knownPipeline(cmd.Context(), p, s, pipelineName); err != nil {
						return err
					}
				}
				if state != "" {
					filter.States = []run.State{run.State(state)}
				}
				runs, err := s.Runs(cmd.Context(), filter)
				if err != nil {
					return err
				}
				if asJSON {
					return a.PrintJSON(console.EmptyNotNull(runs))
				}
				a.printRuns(p, runs)
				return nil
			})
		},
		ValidArgsFunction: a.CompletePipelines,
	}
	cmd.Flags().StringVar(&state, "state", "", "only runs in this `state`: queued, running, success or failed")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(runStates, cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().IntVar(&limit, "limit", 50, "at most this many `runs`; 0 for all")
	console.JSONFlag(cmd, &asJSON)
	return cmd
}

func (a *app) printRuns(p *project.Project, runs []run.Run) {
	if len(runs) == 0 {
		a.Printf("No runs yet. `damson run PIPELINE --date D` makes one.\n")
		return
	}
	g := console.NewGrid("run", "state", "trigger", "data interval", ">took", "reason").Sentences()
	for _, r := range runs {
		g.Add(r.ID, a.State(string(r.State)), r.Trigger, intervalText(r.Start.In(zoneOf(p, r)), r.End.In(zoneOf(p, r))), took(r.Started, r.Ended), console.FirstLine(r.Reason))
	}
	g.Print(a.App)
}

// zoneOf is the zone in which the run's pipeline tells its dates; UTC when the project has no such pipeline any more.
func zoneOf(p *project.Project, r run.Run) *time.Location {
	pl, err := p.Pipeline(r.Pipeline)
	if err != nil {
		return time.UTC
	}
	zone, err := time.LoadLocation(pl.Timezone)
	if err != nil {
		return time.UTC
	}
	return zone
}

// intervalText writes a data interval as short as it is clear.
func intervalText(start, end time.Time) string {
	if start.Equal(end) {
		return console.DateText(start)
	}
	return console.DateText(start) + " – " + console.DateText(end)
}

// took gives a duration for people, "" while there is none.
func took(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return ""
	}
	return console.Seconds(to.Sub(from))
}

// runTasks is what `tasks --json` prints.
type runTasks struct {
	Run   run.Run       `json:"run"`
	Tasks []run.TaskRun `json:"tasks"`
}

func (a *app) tasksCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "tasks RUN",
		Short: "list the task runs of a run, with what each did or why it did not",
		Args:  cobra.ExactArgs(1), ValidArgsFunction: a.completeRun(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.WithRecords(cmd.Context(), func(records console.Records) error {
				p, s := records.Project, records.Store
				r, err := findRun(cmd.Context(), p, s, args[0])
				if err != nil {
					return err
				}
				tasks, err := s.TaskRuns(cmd.Context(), r.ID)
				if err != nil {
					return err
				}
				tasks = inPipelineOrder(p, r.Pipeline, tasks)
				if asJSON {
					return a.PrintJSON(runTasks{*r, console.EmptyNotNull(tasks)})
				}
				a.printTasks(*r, tasks)
				return nil
			})
		},
	}
	console.JSONFlag(cmd, &asJSON)
	return cmd
}

// inPipelineOrder sorts task runs as the pipeline orders its tasks; tasks it no longer has come last.
func inPipelineOrder(p *project.Project, pipelineName string, tasks []run.TaskRun) []run.TaskRun {
	pl, err := p.Pipeline(pipelineName)
	if err != nil {
		return tasks
	}
	byName := map[string]run.TaskRun{}
	for _, t := range tasks {
		byName[t.Task] = t
	}
	var sorted []run.TaskRun
	for _, name := range pl.TaskNames() {
		if t, ok := byName[name]; ok {
			sorted = append(sorted, t)
			delete(byName, name)
		}
		for k := 0; ; k++ { // the items of a mapped task, by number
			item, ok := byName[engine.ItemName(name, k)]
			if !ok {
				break
			}
			sorted = append(sorted, item)
			delete(byName, item.Task)
		}
	}
	for _, t := range tasks {
		if _, left := byName[t.Task]; left {
			sorted = append(sorted, t)
		}
	}
	return sorted
}

func (a *app) printTasks(r run.Run, tasks []run.TaskRun) {
	a.Printf("%s  %s  %s\n", a.Style(console.StyleHead, r.ID), a.State(string(r.State)), console.FirstLine(r.Reason))
	g := console.NewGrid("task", "state", ">attempt", ">took", "result").Sentences()
	for _, t := range tasks {
		g.Add(t.Task, a.State(string(t.State)), fmt.Sprint(t.Attempt), took(t.Started, t.Ended), taskNote(t))
	}
	g.Print(a.App)
}

// taskNote says in a line why a task run is where it is, or what it did.
func taskNote(t run.TaskRun) string {
	if note := console.FirstLine(t.Reason); note != "" {
		return note
	}
	return resultText(t.Result)
}

// resultText writes a task's result as "rows 1 200, rejects 3": its rows, its other numbers that are not zero and its short
// texts, and why.
func resultText(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return ""
	}
	var parts []string
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			break
		}
		var value any
		if err := dec.Decode(&value); err != nil {
			break
		}
		name := strings.ReplaceAll(fmt.Sprint(key), "_", " ")
		switch v := value.(type) {
		case json.Number:
			if n, err := v.Int64(); err == nil && (n != 0 || name == "rows") {
				parts = append(parts, name+" "+console.Count(n))
			} else if err != nil {
				f, _ := v.Float64()
				parts = append(parts, fmt.Sprintf("%s %.4g", name, f))
			}
		case string:
			if v != "" && (len(v) <= 40 || name == "why") {
				parts = append(parts, name+" "+v)
			}
		}
	}
	return strings.Join(parts, ", ")
}

// findRun gives the run of that ID; the error names the nearest ones.
func findRun(ctx context.Context, p *project.Project, s *store.Store, id string) (*run.Run, error) {
	runs, err := s.Runs(ctx, store.RunFilter{IDs: []string{id}})
	if err != nil {
		return nil, err
	}
	if len(runs) == 1 {
		return &runs[0], nil
	}
	name, _, _ := strings.Cut(id, "@")
	near, err := s.Runs(ctx, store.RunFilter{Pipeline: name, Newest: true, Limit: 5000})
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(near))
	for i, r := range near {
		ids[i] = r.ID
	}
	f := diag.Finding{
		Summary: "Unknown run",
		Detail:  fmt.Sprintf("There is no run %q. A run's name is its pipeline and logical date, as geolife@2007-04-12.", id),
		Fix:     strings.TrimSpace(diag.DidYouMean(id, ids) + " `damson runs` lists them."),
	}
	if _, err := p.Pipeline(id); err == nil {
		f.Detail = fmt.Sprintf("%q is a pipeline, not a run.", id)
		f.Fix = fmt.Sprintf("`damson runs %s` lists its runs.", id)
	}
	return nil, console.UsageError{Finding: f}
}

func (a *app) logsCommand() *cobra.Command {
	var attempt int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "logs RUN TASK",
		Short: "show what a task run wrote, all attempts or one",
		Args:  cobra.ExactArgs(2), ValidArgsFunction: a.completeRunTask(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.WithRecords(cmd.Context(), func(records console.Records) error {
				p, s := records.Project, records.Store
				r, err := findRun(cmd.Context(), p, s, args[0])
				if err != nil {
					return err
				}
				if err := findTaskRun(cmd.Context(), s, r.ID, args[1]); err != nil {
					return err
				}
				lines, err := s.Logs(cmd.Context(), r.ID, args[1], attempt)
				if err != nil {
					return err
				}
				history, err := s.History(cmd.Context(), r.ID, args[1])
				if err != nil {
					return err
				}
				if asJSON {
					return a.PrintJSON(map[string]any{"lines": console.EmptyNotNull(lines), "history": console.EmptyNotNull(history)})
				}
				a.printLogs(lines, history, attempt)
				return nil
			})
		},
	}
	cmd.Flags().IntVar(&attempt, "attempt", 0, "only this `attempt`; 0 for all")
	console.JSONFlag(cmd, &asJSON)
	return cmd
}

func findTaskRun(ctx context.Context, s *store.Store, runID, task string) error {
	tasks, err := s.TaskRuns(ctx, runID)
	if err != nil {
		return err
	}
	var names []string
	for _, t := range tasks {
		if t.Task == task {
			return nil
		}
		names = append(names, t.Task)
	}
	return console.Usage("Unknown task", fmt.Sprintf("Run %s has no task %q. It has: %s.", runID, task, strings.Join(names, ", ")),
		diag.DidYouMean(task, names))
}

// told reports whether a line of the same attempt gives the reason of a change already.
func told(lines []run.LogLine, h run.Change) bool {
	return slices.ContainsFunc(lines, func(l run.LogLine) bool {
		return l.Level == "error" && l.Attempt == h.Attempt && strings.HasPrefix(l.Text, h.Reason)
	})
}

// printLogs merges the lines a task wrote with the changes of its state, by time.
func (a *app) printLogs(lines []run.LogLine, history []run.Change, attempt int) {
	if len(lines)+len(history) == 0 {
		a.Printf("Nothing happened yet.\n")
		return
	}
	const clockTime = "2006-01-02 15:04:05.000"
	next := 0
	states := func(until time.Time) {
		for ; next < len(history) && !history[next].At.After(until); next++ {
			h := history[next]
			if attempt != 0 && h.Attempt != attempt {
				continue
			}
			note := ""
			if h.Reason != "" && !told(lines, h) {
				note = ": " + h.Reason
			}
			a.Printf("%s  %s → %s%s\n", a.Style(console.StyleQuiet, h.At.Format(clockTime)), h.From, a.State(string(h.To)), strings.ReplaceAll(note, "\n", "\n    "))
		}
	}
	for _, l := range lines {
		states(l.At)
		text := strings.ReplaceAll(l.Text, "\n", "\n    ")
		if l.Level != "info" {
			text = a.Style(console.StyleBad, l.Level+": ") + text
		}
		a.Printf("%s  #%d %s\n", a.Style(console.StyleQuiet, l.At.Format(clockTime)), l.Attempt, text)
	}
	states(time.Unix(1<<40, 0))
}
