package tasks

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"damson/internal/mltrain"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/sqltext"
	"damson/internal/template/airflow"
)

// Preview gives what the task would run for the run, for people: its SQL under a comment that says where the rows go, the
// files it would load, its command line or request, or what it waits for. Of a mapped task it is the first item's; where
// the items are rows, it is the SELECT that gives them.
func (s *Shop) Preview(ctx context.Context, p *pipeline.Pipeline, t *pipeline.Task, r run.Run) (string, error) {
	c, err := s.Context(ctx, p, t, r, r.End, 1)
	if err != nil {
		return "", err
	}
	head := ""
	if m := t.Map; m != nil {
		if m.File != "" {
			text, err := s.Renderer.RenderFile(t, m.File, c)
			return fmt.Sprintf("-- task %s (%s) runs for each row of this\n%s", t.Name, t.Kind, text.SQL()), err
		}
		if len(m.Items) == 0 {
			return fmt.Sprintf("-- task %s (%s) has no items\n", t.Name, t.Kind), nil
		}
		c.Item, c.HasItem = plainItem(m.Items[0]), true
		head = fmt.Sprintf("-- the first of %d items\n", len(m.Items))
	}
	r.Start, r.End = r.Start.In(c.Location), r.End.In(c.Location)
	text, err := s.preview(t, c, r)
	return head + text, err
}

func (s *Shop) preview(t *pipeline.Task, c airflow.Context, r run.Run) (string, error) {
	switch {
	case t.Load != nil:
		root, files, err := s.Project.LoadFiles(t, c)
		return fmt.Sprintf("-- load %s files into %s, from %s:\n%s\n", t.Load.Format, t.Load.Into, orHere(root), strings.Join(files, "\n")), err
	case t.Process != nil:
		return s.previewProcess(t, c, r)
	case t.HTTP != nil:
		return s.previewHTTP(t, c)
	case t.Trigger != nil:
		return s.previewTrigger(t, c)
	case t.Features != nil:
		return s.previewFeatures(t, c, r)
	case t.File() != "":
		text, err := s.fileText(t, c)
		return heading(t, r) + text.SQL(), err
	case t.Branch != nil:
		text, err := s.Renderer.RenderText(t, t.Branch.Choose, c)
		return fmt.Sprintf("-- of the tasks directly after it these run:\n%s\n", strings.Join(pipeline.Choices(text), "\n")), err
	case t.Condition != nil:
		text, err := s.Renderer.RenderText(t, t.Condition.When, c)
		return fmt.Sprintf("-- what comes after it runs if this is true, and it is %v:\n%s\n", truthy(text), text), err
	case t.Sensor != nil:
		text, err := s.Renderer.RenderText(t, t.Sensor.Files+t.Sensor.Until, c) // one of them, if any
		return fmt.Sprintf("-- waits for %s; looks every %s\n", waitsFor(*t.Sensor, text), inWords(t.Sensor.Every)), err
	}
	text, err := tableRows(t, t.Source())
	return heading(t, r) + text.SQL(), err
}

// Forecast says in SQL comments how a train task would train on the rows that there are now, and about what that takes. It
// asks the warehouse.
func (s *Shop) Forecast(ctx context.Context, p *pipeline.Pipeline, t *pipeline.Task, r run.Run) (string, error) {
	m, err := s.Project.Model(t.Train.Model)
	if err != nil {
		return "", err
	}
	c, err := s.Context(ctx, p, t, r, r.End, 1)
	if err != nil {
		return "", err
	}
	source, err := tableRows(t, t.Source())
	if t.File() != "" {
		source, err = s.fileText(t, c)
	}
	if err != nil {
		return "", err
	}
	memory := s.Project.Environment.Limits.Memory
	f, err := mltrain.Foresee(ctx, s.Warehouse, *m, source, memory)
	if err != nil {
		return "", err
	}
	bound := "without bound"
	if memory > 0 {
		bound = "of " + mebibytes(memory)
	}
	way := "will be read"
	if f.Inside {
		way = "will stay: the model is trained in the database"
	}
	text := fmt.Sprintf("-- %d rows with %d features %s (%s)\n-- read, they take about %s of memory, %s\n", f.Rows, f.Features, way, f.Why, mebibytes(f.Memory), bound)
	if cost := f.InDatabase; cost != nil {
		text += fmt.Sprintf("-- in the database, it takes about %d statements, %s of temporary tables, %d visits of rows; at most %d counts, and %d predictions, leave it\n",
			cost.Statements, mebibytes(cost.Temporary), cost.Visits, cost.Counts, cost.Predictions)
	}
	return text + trainings(f), nil
}

// trainings says why a model is trained several times.
func trainings(f *mltrain.Forecast) string {
	text := ""
	if f.Trials > 0 {
		text += fmt.Sprintf("%d trials × %d folds of the search, ", f.Trials, f.TrialFolds)
	}
	if f.Folds > 0 {
		text += fmt.Sprintf("%d folds of the cross-validation, ", f.Folds)
	}
	if text == "" {
		return ""
	}
	return fmt.Sprintf("-- %d models are trained: %sand the version\n", f.Trainings(), text)
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", (n+1<<20-1)>>20) }

// fileText renders the task's own SQL file: the newer kinds through the Renderer, as when they are executed.
func (s *Shop) fileText(t *pipeline.Task, c airflow.Context) (sqltext.Text, error) {
	if t.Branch != nil || t.Condition != nil || t.Sensor != nil {
		return s.Renderer.RenderFile(t, t.File(), c)
	}
	return s.Project.Render(t, c)
}

func (s *Shop) previewProcess(t *pipeline.Task, c airflow.Context, r run.Run) (string, error) {
	cmd, err := s.command(t, c)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, in := range t.Process.Inputs {
		text, err := s.inputRows(t, in, c)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "# the rows of this are in the Parquet file $DAMSON_INPUT_%s\n%s\n", variableName(in.Name), strings.TrimRight(text.SQL(), "\n"))
	}
	if t.Process.Target != nil {
		b.WriteString("# the rows of the Parquet file $DAMSON_OUTPUT: " + strings.TrimPrefix(heading(t, r), "-- "))
	}
	for _, name := range slices.Sorted(maps.Keys(cmd.env)) {
		fmt.Fprintf(&b, "%s=%s ", name, shellWord(cmd.env[name]))
	}
	b.WriteString(shellWord(cmd.path))
	for _, arg := range cmd.args {
		b.WriteString(" " + shellWord(arg))
	}
	return b.String() + "\n", nil
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// shellWord writes a word as a shell reads it.
func shellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// previewHTTP shows no header's value but those that say what the body is: secrets stand in the others.
func (s *Shop) previewHTTP(t *pipeline.Task, c airflow.Context) (string, error) {
	h, err := s.rendered(t, c)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", h.Method, s.shown(h.URL))
	for _, name := range slices.Sorted(maps.Keys(h.Headers)) {
		value := h.Headers[name]
		if !openHeader(name) {
			value = "******"
		}
		fmt.Fprintf(&b, "%s: %s\n", name, value)
	}
	if h.Body != "" {
		b.WriteString("\n" + h.Body + "\n")
	}
	return b.String(), nil
}

func (s *Shop) previewTrigger(t *pipeline.Task, c airflow.Context) (string, error) {
	start, params, err := triggerExecutor{s}.wanted(t, c)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("-- runs pipeline %s for the data interval from %s\n", t.Trigger.Pipeline, start.In(c.Location).Format("2006-01-02 15:04"))
	for _, name := range slices.Sorted(maps.Keys(params)) {
		text += fmt.Sprintf("%s = %s\n", name, shown(params[name]))
	}
	return text, nil
}

func orHere(root string) string {
	if root == "" {
		return "the project's directory"
	}
	return root
}

// heading says in a SQL comment what happens with the rows of the statement below it.
func heading(t *pipeline.Task, r run.Run) string {
	var what string
	switch t.Kind {
	case pipeline.TrainTask:
		return fmt.Sprintf("-- the rows that model %s is trained on\n", t.Train.Model)
	case pipeline.ScoreTask:
		which := "champion"
		if t.Score.Version != "" {
			which = "version " + t.Score.Version
		}
		what = fmt.Sprintf("-- the rows that the %s of model %s scores, ", which, t.Score.Model)
	case pipeline.FeaturesTask:
		what = "-- the rows whose series become features, "
	case pipeline.BranchTask:
		return "-- of the tasks directly after it, or groups of them, those run that this names\n"
	case pipeline.ShortCircuitTask:
		return "-- what comes after it runs if the first value of this is true\n"
	case pipeline.SensorTask:
		return fmt.Sprintf("-- waits for the first value of this to be true; looks every %s\n", inWords(t.Sensor.Every))
	default:
		if t.Target() == nil {
			return ""
		}
		what = "-- "
	}
	target := t.Target()
	switch {
	case target.Mode != pipeline.Replace:
		what += fmt.Sprintf("%s into %s", target.Mode, target.Into)
	case target.PartitionBy == "":
		what += "replacing all of " + target.Into
	default:
		what += fmt.Sprintf("replacing the rows of %s with %s in [%s, %s)", target.Into, target.PartitionBy,
			r.Start.Format("2006-01-02 15:04"), r.End.Format("2006-01-02 15:04"))
	}
	return what + "\n"
}
