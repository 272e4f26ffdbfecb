package declare

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/project/source"
	"damson/internal/schedule"
	"damson/internal/sqltext"
)

// MinPriority is the lowest priority a task may have; the highest is its opposite.
const MinPriority = -1_000_000

// predeclared are the functions every Starlark file can call besides the language's own.
func (e *evaluation) predeclared() starlark.StringDict {
	dict := starlark.StringDict{}
	for name, fn := range map[string]builtinFunc{
		"pipeline": e.declarePipeline, "model": e.declareModel, "random_forest": e.randomForest,
		"holdout": e.holdout, "cross_validation": e.crossValidation, "retrain": e.retrain, "chain": e.chain,
		"dataset": e.dataset, "range": e.boundedRange, factorName: e.factorOf,
	} {
		dict[name] = starlark.NewBuiltin(name, fn)
	}
	return dict
}

// taskMethods are the methods by which pipelines and groups take in tasks and groups.
func (e *evaluation) taskMethods() map[string]*starlark.Builtin {
	methods := map[string]*starlark.Builtin{}
	for name, fn := range map[string]builtinFunc{
		"sql": e.sqlTask, "load": e.loadTask, "train": e.trainTask, "score": e.scoreTask, "features": e.featuresTask,
		"python": e.pythonTask, "shell": e.shellTask, "http": e.httpTask,
		"branch": e.branchTask, "short_circuit": e.shortCircuitTask, "sensor": e.sensorTask, "trigger": e.triggerTask,
		"group": e.declareGroup,
	} {
		methods[name] = starlark.NewBuiltin(name, fn)
	}
	return methods
}

type builtinFunc = func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error)

// declarePipeline is pipeline(…).
func (e *evaluation) declarePipeline(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(e.pipelines) >= e.bounds.pipelines {
		return nil, fmt.Errorf("the project declares more than %d pipelines", e.bounds.pipelines)
	}
	c := e.newCall(t, "pipeline", args, kwargs, "name")
	d := e.defaults
	p := &pipeline.Pipeline{At: c.at}
	p.Name = c.plainName("name", "daily")
	p.Description = c.text("description", "", "What it is for")
	p.Owner = c.text("owner", d.Owner, "data-science")
	p.Schedule = c.text("schedule", "", "@daily")
	p.Timezone = c.text("timezone", d.Timezone, "Europe/Berlin")
	loc := c.location(p)
	p.Start = c.date("start", loc)
	p.End = c.date("end", loc)
	p.Catchup = c.boolean("catchup", d.Catchup)
	p.MaxActiveRuns = c.whole("max_active_runs", d.MaxActiveRuns, 0, math.MaxInt32)
	p.MaxActiveTasks = c.whole("max_active_tasks", d.MaxActiveTasks, 0, math.MaxInt32)
	p.RunTimeout = c.duration("run_timeout", d.RunTimeout)
	p.Params = c.params("params")
	p.On = c.datasets("on")
	p.Deadline = c.duration("deadline", 0)
	decl := &Pipeline{Pipeline: p, defaults: c.taskDefaults(d.TaskDefaults), At: c.positions()}
	c.finish()
	c.checkSchedule(p)
	e.pipelines = append(e.pipelines, decl)
	return &pipelineValue{decl: decl, e: e}, nil
}

// plainName reads the required name of a pipeline, task or model.
func (c *call) plainName(key, example string) string {
	name := c.required(key, example)
	if name != "" && !source.PlainName.MatchString(name) {
		c.report(c.place(key), "Not a name", source.NameFix, "%s of %s is %q.", key, c.name, name)
	}
	return name
}

// location reads the time zone; an unknown one counts as UTC.
func (c *call) location(p *pipeline.Pipeline) *time.Location {
	loc, err := time.LoadLocation(p.Timezone)
	if err == nil && p.Timezone != "" && p.Timezone != "Local" {
		return loc
	}
	c.report(c.place("timezone"), "Unknown time zone", source.TimezoneFix, "timezone of pipeline %s is %q.", p.Name, p.Timezone)
	p.Timezone = "UTC"
	return time.UTC
}

// checkSchedule judges schedule, start and end together.
func (c *call) checkSchedule(p *pipeline.Pipeline) {
	s, err := schedule.Parse(p.Schedule, p.Timezone)
	if err == nil && !s.Manual() && len(p.On) > 0 {
		c.report(c.place("on"), "Schedule and datasets", "Remove schedule, or on.",
			"Pipeline %s runs by the schedule %q, so it cannot run by what is written to %s.", p.Name, p.Schedule, strings.Join(p.On, ", "))
	}
	if err != nil {
		f := diag.AsFinding("Bad schedule", err)
		f.At, f.Severity = c.place("schedule"), diag.Error
		if f.Fix == "" {
			f.Fix = `Write a preset such as "@daily", a cron expression such as "0 6 * * *", or an interval such as "every 15m".`
		}
		c.e.findings = append(c.e.findings, f)
		return
	}
	if p.Start.IsZero() && !s.Manual() && !c.has("start") {
		c.report(c.at, "No start date", `Add a first date, for example start = "2024-01-01".`,
			"Pipeline %s has the schedule %q, but nothing says from when.", p.Name, p.Schedule)
	}
	if !p.End.IsZero() && p.End.Before(p.Start) {
		c.report(c.place("end"), "End before start", "Swap the two dates, or leave end out.", "Pipeline %s ends on %s and starts on %s.",
			p.Name, p.End.Format(time.DateOnly), p.Start.Format(time.DateOnly))
	}
}

// taskDefaults reads what pipelines give to their tasks, and tasks set for themselves.
func (c *call) taskDefaults(d TaskDefaults) TaskDefaults {
	return TaskDefaults{
		Retries:       c.whole("retries", d.Retries, 0, math.MaxInt32),
		RetryDelay:    c.duration("retry_delay", d.RetryDelay),
		RetryBackoff:  c.real("retry_backoff", d.RetryBackoff, "a number of at least 1", func(v float64) bool { return v >= 1 && !math.IsInf(v, 0) }),
		MaxRetryDelay: c.duration("max_retry_delay", d.MaxRetryDelay),
		Timeout:       c.duration("timeout", d.Timeout),
		DependsOnPast: c.boolean("depends_on_past", d.DependsOnPast),

		WaitForDownstream: c.boolean("wait_for_downstream", d.WaitForDownstream),
		Priority:          c.whole("priority", d.Priority, MinPriority, -MinPriority),
		Pool:              c.text("pool", d.Pool, "db"),
		PoolSlots:         c.whole("pool_slots", d.PoolSlots, 1, math.MaxInt32),
	}
}

// params reads a dict of parameters: texts, numbers, booleans, None, lists and dicts of them.
func (c *call) params(key string) map[string]any {
	v := c.value(key)
	if v == nil {
		return nil
	}
	dict, ok := v.(*starlark.Dict)
	if !ok {
		c.wrong(key, "a dict", v, `{"days": 7}`)
		return nil
	}
	params := map[string]any{}
	for _, item := range dict.Items() {
		name, _ := starlark.AsString(item[0])
		if !source.VariableName.MatchString(name) {
			c.report(c.place(key), "Not a name", "Use letters, digits and _, beginning with a letter.", "A parameter is called %s.", item[0])
			continue
		}
		value, err := plainValue(item[1], 0)
		if err != nil {
			c.report(c.place(key), "Wrong type", "Use texts, numbers, booleans, lists and dicts.", "Parameter %s is %s.", name, err)
			continue
		}
		params[name] = value
	}
	return params
}

// plainValue turns a Starlark value into what JSON can hold; the error says what it is instead.
func plainValue(v starlark.Value, depth int) (any, error) {
	if depth > source.MaxDepth {
		return nil, fmt.Errorf("nested more than %d levels deep", source.MaxDepth)
	}
	switch v := v.(type) {
	case starlark.NoneType:
		return nil, nil
	case starlark.Bool:
		return bool(v), nil
	case starlark.String:
		return string(v), nil
	case starlark.Float:
		if math.IsInf(float64(v), 0) || math.IsNaN(float64(v)) {
			return nil, fmt.Errorf("no finite number")
		}
		return float64(v), nil
	case starlark.Int:
		if i, ok := v.Int64(); ok {
			return i, nil
		}
		return nil, fmt.Errorf("a number of more than 64 bits")
	case *starlark.Dict:
		m := map[string]any{}
		for _, item := range v.Items() {
			key, ok := starlark.AsString(item[0])
			if !ok {
				return nil, fmt.Errorf("a dict whose keys are not all texts")
			}
			value, err := plainValue(item[1], depth+1)
			if err != nil {
				return nil, err
			}
			m[key] = value
		}
		return m, nil
	}
	items, ok := sequence(v)
	if !ok {
		return nil, fmt.Errorf("%s", showValue(v))
	}
	list := make([]any, len(items))
	for i, item := range items {
		value, err := plainValue(item, depth+1)
		if err != nil {
			return nil, err
		}
		list[i] = value
	}
	return list, nil
}

// declareModel is model(…).
func (e *evaluation) declareModel(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := e.newCall(t, "model", args, kwargs, "name")
	m := &pipeline.Model{At: c.at, Split: pipeline.Holdout{Test: 0.2}}
	m.Name = c.plainName("name", "churn")
	if forest, ok := c.part("algorithm", "random_forest"); ok {
		f := forest.(pipeline.RandomForest)
		m.Forest = &f
	} else if !c.has("algorithm") {
		c.report(c.at, "Missing argument", "Add algorithm = random_forest().", "model needs algorithm.")
	}
	m.ID = c.column("id", "id", true)
	m.Target = c.column("target", "label", true)
	m.Exclude = c.columns("exclude", `["created_at"]`)
	if split, ok := c.part("split", "holdout"); ok {
		m.Split = split.(pipeline.Holdout)
	}
	if folds, ok := c.part("cross_validation", "cross_validation"); ok {
		f := folds.(pipeline.Folds)
		m.Folds = &f
	}
	m.Segment = c.column("segment", "trip", false)
	m.Weight = c.column("weight", "seconds", false)
	m.Threshold = c.real("threshold", 0.5, "a number between 0 and 1, both excluded", func(v float64) bool { return v > 0 && v < 1 })
	m.Gates = c.texts("gates", `["auc >= 0.85"]`)
	m.Approval = c.choice("approval", "none", []string{"none", "required"})
	c.finish()
	c.checkModel(m)
	e.models = append(e.models, m)
	return &modelValue{model: m}, nil
}

// checkModel judges the columns and gates of a model.
func (c *call) checkModel(m *pipeline.Model) {
	if m.ID != "" && m.ID == m.Target {
		c.report(c.place("target"), "One column twice", "Name the column to predict.", "Model %s has %q as id and as target.", m.Name, m.ID)
	}
	for _, column := range []string{m.ID, m.Target} {
		if column != "" && slices.Contains(m.Exclude, column) {
			c.report(c.place("exclude"), "One column twice", fmt.Sprintf("Remove %q from exclude.", column),
				"Model %s excludes its own %q; id and target are no features anyway.", m.Name, column)
		}
	}
	for _, gate := range m.Gates {
		if strings.TrimSpace(gate) == "" {
			c.report(c.place("gates"), "Empty gate", `Write a condition such as "auc >= 0.85".`, "A gate of model %s is empty.", m.Name)
			continue
		}
		c.checkGateText("gates", gate)
	}
}

// checkGateText judges a condition on metrics.
func (c *call) checkGateText(key, gate string) {
	if c.e.checkGate == nil {
		return
	}
	if err := c.e.checkGate(gate); err != nil {
		f := diag.AsFinding("Bad gate", err)
		f.At, f.Severity = c.place(key), diag.Error
		if f.Fix == "" {
			f.Fix = `Write a metric, a comparison and a number, for example "auc >= 0.85".`
		}
		c.e.findings = append(c.e.findings, f)
	}
}

// part reads an argument that another builtin gave.
func (c *call) part(key, what string) (any, bool) {
	v := c.value(key)
	if v == nil {
		return nil, false
	}
	if r, ok := v.(*record); ok && r.what == what {
		return r.part, true
	}
	c.wrong(key, what+"(…)", v, what+"()")
	return nil, false
}

// column reads the name of a column.
func (c *call) column(key, example string, required bool) string {
	var name string
	if required {
		name = c.required(key, example)
	} else {
		name = c.text(key, "", example)
	}
	if name != "" {
		c.checkColumn(key, name)
	}
	return name
}

func (c *call) columns(key, example string) []string {
	names := c.texts(key, example)
	for _, name := range names {
		c.checkColumn(key, name)
	}
	return names
}

func (c *call) checkColumn(key, name string) {
	if strings.TrimSpace(name) != name || name == "" || strings.ContainsAny(name, "\n\x00") || len(name) > 63 {
		c.report(c.place(key), "Not a column", "Write the column's name as the database has it.", "%s of %s is %q.", key, c.name, name)
	}
}

// randomForest is random_forest(…).
func (e *evaluation) randomForest(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := e.newCall(t, "random_forest", args, kwargs)
	f := pipeline.RandomForest{
		Trees:            c.whole("trees", 100, 1, 100_000),
		MaxDepth:         c.whole("max_depth", 8, 1, 100),
		FeaturesPerSplit: c.whole("features_per_split", 0, 0, math.MaxInt32),
		MinSplit:         c.whole("min_split", 2, 2, math.MaxInt32),
		MinLeaf:          c.whole("min_leaf", 1, 1, math.MaxInt32),
		Bins:             c.whole("bins", 32, 2, 255),
	}
	c.finish()
	return &record{what: "random_forest", part: f}, nil
}

// share is the rule for a part of the groups.
const share = "a number between 0 and 1, both excluded"

// holdout is holdout(…).
func (e *evaluation) holdout(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := e.newCall(t, "holdout", args, kwargs)
	h := pipeline.Holdout{
		Test: c.real("test", 0.2, share, func(v float64) bool { return v > 0 && v < 1 }),
		By:   c.column("by", "customer", false),
		Seed: c.seed("seed"),
	}
	c.finish()
	return &record{what: "holdout", part: h}, nil
}

// retrain is retrain(…).
func (e *evaluation) retrain(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := e.newCall(t, "retrain", args, kwargs)
	r := pipeline.Retrain{
		NewRows:     int64(c.whole("new_rows", 0, 1, math.MaxInt32)),
		When:        c.text("when", "", "accuracy < 0.85"),
		Predictions: c.text("predictions", "", "shop.churn_prediction"),
		Labels:      c.text("labels", "", "shop.churned"),
		MinRows:     int64(c.whole("min_rows", 100, 1, math.MaxInt32)),
	}
	c.finish()
	if r.NewRows == 0 && r.When == "" && !c.has("new_rows") && !c.has("when") {
		c.report(c.at, "Nothing to retrain for", `Write retrain(new_rows = 1000), or when = "accuracy < 0.85" with predictions and labels.`,
			"retrain has no condition, so that the model would never be trained again.")
	}
	if (r.When != "") != (r.Predictions != "" && r.Labels != "") {
		c.report(c.at, "Half a condition", `Give when, predictions and labels together, or none of them.`,
			"A condition on past predictions compares the table of predictions with a table of labels.")
	}
	for _, table := range []struct{ key, name string }{{"predictions", r.Predictions}, {"labels", r.Labels}} {
		if _, _, err := sqltext.ParseName(table.name); table.name != "" && err != nil {
			c.report(c.place(table.key), "Not a table", `Write schema.table, for example "shop.churned".`, "%s.", err)
		}
	}
	if r.When != "" {
		c.checkGateText("when", r.When)
	}
	return &record{what: "retrain", part: r}, nil
}

// crossValidation is cross_validation(…).
func (e *evaluation) crossValidation(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := e.newCall(t, "cross_validation", args, kwargs)
	f := pipeline.Folds{K: c.whole("k", 5, 2, 1000), By: c.column("by", "customer", false), Seed: c.seed("seed")}
	c.finish()
	return &record{what: "cross_validation", part: f}, nil
}
