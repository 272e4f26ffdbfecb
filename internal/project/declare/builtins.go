package declare

import (
	"fmt"
	"math"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/project/source"
	"damson/internal/schedule"
)

// MinPriority is the lowest priority a task may have; the highest is its opposite.
const MinPriority = -1_000_000

// predeclared are the functions every Starlark file can call besides the language's own.
func (e *evaluation) predeclared() starlark.StringDict {
	dict := starlark.StringDict{}
	for name, fn := range map[string]builtinFunc{
		"pipeline": e.declarePipeline, "model": e.declareModel,
		"random_forest": e.learns("random_forest", (*call).randomForest), "decision_tree": e.learns("decision_tree", (*call).decisionTree),
		"gradient_boosting":   e.learns("gradient_boosting", (*call).gradientBoosting),
		"logistic_regression": e.learns("logistic_regression", (*call).logisticRegression),
		"linear_regression":   e.learns("linear_regression", (*call).linearRegression),
		"k_means":             e.learns("k_means", (*call).kMeans),
		"grid_search":         e.gridSearch, "random_search": e.randomSearch, "choice": e.oneOf, "integer": e.integerRange, "real": e.realRange,
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
