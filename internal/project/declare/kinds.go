package declare

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"damson/internal/pipeline"
	"damson/internal/project/source"
)

// pythonTask is p.python(…).
func (e *evaluation) pythonTask(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c, td, err := e.task(t, b, pipeline.PythonTask, args, kwargs)
	if err != nil {
		return nil, err
	}
	c.process(td.Task, "python/score_customers.py")
	return e.add(c, td)
}

// shellTask is p.shell(…).
func (e *evaluation) shellTask(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c, td, err := e.task(t, b, pipeline.ShellTask, args, kwargs)
	if err != nil {
		return nil, err
	}
	command := c.text("command", "", "gzip -d data/orders.gz")
	c.process(td.Task, "shell/fetch_orders.sh")
	td.Task.Process.Command = command
	switch {
	case c.has("command") && strings.TrimSpace(command) == "" && !c.badlyGiven("command"):
		c.report(c.place("command"), "Empty command", "Write a line for the shell, or give a file.", "command of task %s is empty.", td.Task.Name)
	case command != "" && c.has("file"):
		c.report(c.place("file"), "Command and file", "Keep one of the two.", "Task %s has both a command and a file to run.", td.Task.Name)
	case command != "" && c.has("args"):
		c.report(c.place("args"), "Arguments of a command", "Write them into the command, or give a file.",
			"args are for the file that a task runs; task %s runs a command.", td.Task.Name)
	}
	return e.add(c, td)
}

// process reads what python and shell tasks share.
func (c *call) process(t *pipeline.Task, example string) {
	p := &pipeline.Process{File: c.text("file", "", example)}
	t.Process = p
	p.Args = c.texts("args", `["--day", "{{ ds }}"]`)
	p.Env = c.textDict("env", `{"LEVEL": "debug"}`)
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		switch {
		case !source.VariableName.MatchString(name):
			c.report(c.place("env"), "Not a name", "Use letters, digits and _, beginning with a letter.", "An environment variable of task %s is called %q.", t.Name, name)
		case strings.HasPrefix(strings.ToUpper(name), "DAMSON_"):
			c.report(c.place("env"), "Reserved name", "Choose a name that does not begin with DAMSON_.", "Damson itself sets %s of task %s.", name, t.Name)
		}
	}
	p.Inputs = c.inputs("inputs", t.Name)
	into := c.text("into", "", "shop.orders")
	target := c.target(into, t.Name)
	if into != "" {
		p.Target = &target
	} else {
		c.needsInto(target)
	}
}

// textDict reads a dict of texts.
func (c *call) textDict(key, example string) map[string]string {
	v := c.value(key)
	if v == nil {
		return nil
	}
	dict, ok := v.(*starlark.Dict)
	if !ok {
		c.wrong(key, "a dict of texts", v, example)
		return nil
	}
	texts := map[string]string{}
	for _, item := range dict.Items() {
		name, isText := starlark.AsString(item[0])
		value, valueIsText := starlark.AsString(item[1])
		switch {
		case !isText:
			c.wrong(key, "a dict of texts", item[0], example)
		case !valueIsText:
			c.wrong(key, "a dict of texts", item[1], example)
		default:
			texts[name] = value
		}
	}
	return texts
}

// inputs reads what a program reads: by name a table, a SQL file, or a task that writes a table. The loader finds out
// which it is.
func (c *call) inputs(key, task string) []pipeline.Input {
	v := c.value(key)
	if v == nil {
		return nil
	}
	const want, example = "a dict of tables or SQL files", `{"points": "shop.orders"}`
	dict, ok := v.(*starlark.Dict)
	if !ok {
		c.wrong(key, want, v, example)
		return nil
	}
	var inputs []pipeline.Input
	names := map[string]string{}
	for _, item := range dict.Items() {
		name, _ := starlark.AsString(item[0])
		upper := strings.ToUpper(name)
		if !source.VariableName.MatchString(name) {
			c.report(c.place(key), "Not a name", "Use letters, digits and _, beginning with a letter.", "An input of task %s is called %s.", task, item[0])
			continue
		}
		if before, again := names[upper]; again {
			c.report(c.place(key), "Inputs of one name", "Rename one of the two.",
				"The program of task %s finds both %s and %s by DAMSON_INPUT_%s.", task, before, name, upper)
		}
		names[upper] = name
		source, isText := starlark.AsString(item[1])
		if t, isTask := item[1].(*taskValue); isTask {
			source, isText = t.decl.Task.Into(), t.decl.Task.Into() != ""
		}
		if !isText || source == "" {
			c.wrong(key, want, item[1], example)
			continue
		}
		inputs = append(inputs, pipeline.Input{Name: name, Table: source})
	}
	return inputs
}

var (
	httpMethods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions}
	// headerName is a token of RFC 9110, 5.6.2.
	headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
)

// httpTask is p.http(…).
func (e *evaluation) httpTask(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c, td, err := e.task(t, b, pipeline.HTTPTask, args, kwargs)
	if err != nil {
		return nil, err
	}
	h := &pipeline.HTTP{URL: c.required("url", "https://example.com/ready")}
	td.Task.HTTP = h
	h.Method = c.choice("method", http.MethodGet, httpMethods)
	h.Headers = c.textDict("headers", `{"Accept": "application/json"}`)
	h.Body = c.text("body", "", `{"day": "{{ ds }}"}`)
	h.Expect = c.statuses("expect")
	if h.URL != "" && !source.IsTemplated(h.URL) {
		if u, err := url.Parse(h.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			c.report(c.place("url"), "Not a URL", `Write the whole address, for example "https://example.com/ready".`, "url of task %s is %q.", td.Task.Name, h.URL)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(h.Headers)) {
		if !headerName.MatchString(name) {
			c.report(c.place("headers"), "Not a header", `Write a header's name, for example "Content-Type".`, "A header of task %s is called %q.", td.Task.Name, name)
		}
	}
	if h.Body != "" && (h.Method == http.MethodGet || h.Method == http.MethodHead) {
		c.report(c.place("body"), "Body without a method for it", `Add method = "POST", or remove body.`, "A %s request carries no body.", h.Method)
	}
	return e.add(c, td)
}

// statuses reads a list of HTTP status codes, or one alone.
func (c *call) statuses(key string) []int {
	v := c.value(key)
	if v == nil {
		return nil
	}
	items, ok := sequence(v)
	if !ok {
		items = []starlark.Value{v}
	}
	var codes []int
	for _, item := range items {
		var code int
		if err := starlark.AsInt(item, &code); err != nil || code < 100 || code > 599 {
			c.wrong(key, "a list of status codes from 100 to 599", item, "[200, 204]")
			continue
		}
		codes = append(codes, code)
	}
	return codes
}

// branchTask is p.branch(…).
func (e *evaluation) branchTask(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c, td, err := e.task(t, b, pipeline.BranchTask, args, kwargs)
	if err != nil {
		return nil, err
	}
	file, choose := c.fileOr("choose", "{{ 'weekly' if logical_date.weekday() == 6 else 'daily' }}", td.Task.Name)
	td.Task.Branch = &pipeline.Branch{File: file, Choose: choose}
	return e.add(c, td)
}

// shortCircuitTask is p.short_circuit(…).
func (e *evaluation) shortCircuitTask(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c, td, err := e.task(t, b, pipeline.ShortCircuitTask, args, kwargs)
	if err != nil {
		return nil, err
	}
	file, when := c.fileOr("when", "{{ logical_date.weekday() < 5 }}", td.Task.Name)
	td.Task.Condition = &pipeline.Condition{File: file, When: when}
	if when != "" && !source.IsTemplated(when) {
		c.report(c.place("when"), "Condition without a template", fmt.Sprintf("Write when = %q, or give a SQL file.", "{{ "+when+" }}"),
			"when of task %s is the text %q, which is the same in every run.", td.Task.Name, when)
	}
	return e.add(c, td)
}

// fileOr reads a template, or the SQL file that stands for it; with neither, the file is found by the task's name.
func (c *call) fileOr(key, example, task string) (file, text string) {
	file, text = c.text("file", "", "sql/choose.sql"), c.text(key, "", example)
	switch {
	case file != "" && c.has(key):
		c.report(c.place(key), "Two ways at once", "Keep one of the two.", "Task %s has both file and %s.", task, key)
	case c.has(key) && strings.TrimSpace(text) == "" && !c.badlyGiven(key):
		c.report(c.place(key), "Empty text", fmt.Sprintf("Write for example %s = %q.", key, example), "%s of task %s is empty.", key, task)
	}
	return file, text
}

// sensorTask is p.sensor(…).
func (e *evaluation) sensorTask(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c, td, err := e.task(t, b, pipeline.SensorTask, args, kwargs)
	if err != nil {
		return nil, err
	}
	s := &pipeline.Sensor{File: c.text("sql", "", "orders_are_there")}
	td.Task.Sensor = s
	s.Files = c.text("files", "", "data/{{ ds }}/*.csv")
	s.Until = c.text("until", "", "{{ ds }}T06:00:00")
	s.After = c.duration("after", 0)
	s.Pipeline, s.Task = c.otherTask()
	s.Offset = c.offset("offset")
	s.Every = c.duration("every", 30*time.Second)
	s.Patience = c.duration("patience", 0)
	s.SoftFail = c.boolean("soft_fail", false)
	c.checkSensor(s, td.Task.Name)
	return e.add(c, td)
}

// otherTask reads the pipeline, and the task of it, that a sensor waits for.
func (c *call) otherTask() (pipelineName, taskName string) {
	pipelineName = c.pipeline("pipeline")
	switch v := c.value("task").(type) {
	case *taskValue:
		taskName = v.decl.Task.Name
		if own := v.decl.Pipeline.Pipeline.Name; pipelineName == "" && !c.has("pipeline") {
			pipelineName = own
		} else if pipelineName != own && pipelineName != "" {
			c.report(c.place("task"), "Task of another pipeline", "Name a task of that pipeline, or leave pipeline out.",
				"Task %s belongs to pipeline %s, not to %s.", taskName, own, pipelineName)
		}
	case starlark.String:
		if taskName = string(v); !c.has("pipeline") {
			c.report(c.place("task"), "Task without a pipeline", `Add pipeline = "name".`, "Nothing says of which pipeline %q is a task.", taskName)
		}
	case nil:
	default:
		c.wrong("task", "a task or its name", v, `"clean_orders"`)
	}
	return pipelineName, taskName
}

// pipeline reads a pipeline, or its name.
func (c *call) pipeline(key string) string {
	switch v := c.value(key).(type) {
	case *pipelineValue:
		return v.decl.Pipeline.Name
	case starlark.String:
		return string(v)
	case nil:
	default:
		c.wrong(key, "a pipeline or its name", v, `"daily"`)
	}
	return ""
}

// offset reads a duration that may be negative: "-1d".
func (c *call) offset(key string) time.Duration {
	text, isText := c.given[key].(starlark.String)
	rest, negative := strings.CutPrefix(strings.TrimSpace(string(text)), "-")
	if !isText || !negative {
		return c.duration(key, 0)
	}
	c.known = append(c.known, key)
	d, err := source.ParseDuration(rest)
	if err != nil {
		c.report(c.place(key), "Not a duration", source.DurationFix, "%s of %s is %s.", key, c.name, showValue(text))
	}
	return -d
}

// checkSensor judges the parts of a sensor against each other.
func (c *call) checkSensor(s *pipeline.Sensor, task string) {
	var given []string
	for _, key := range []string{"sql", "files", "until", "after", "pipeline"} {
		if c.has(key) || key == "pipeline" && !c.has(key) && c.has("task") {
			given = append(given, key)
		}
	}
	switch {
	case len(given) == 0:
		c.report(c.at, "Missing argument", `Add one of sql, files, until, after and pipeline, for example files = "data/{{ ds }}/*.csv".`, "Nothing says what task %s waits for.", task)
	case len(given) > 1:
		c.report(c.place(given[1]), "Two things to wait for", "Write a sensor for each, and let what follows wait for both.", "Task %s has %s.", task, strings.Join(given, " and "))
	}
	if after, ok := starlark.AsString(c.given["after"]); ok && s.After == 0 && isZero(after) {
		c.report(c.place("after"), "Out of range", `Write for example after = "6h".`, "after of task %s is no time at all.", task)
	}
	if s.Until != "" && !source.IsTemplated(s.Until) {
		if _, err := source.ParseDate(s.Until, time.UTC); err != nil {
			c.report(c.place("until"), "Not a date", `Write a template that gives a date or a time, for example "{{ ds }}T06:00:00".`, "until of task %s is %q.", task, s.Until)
		}
	}
	if c.has("offset") && s.Pipeline == "" {
		c.report(c.place("offset"), "Offset without a pipeline", "Remove it, or add pipeline.", "offset says which run of another pipeline is meant; task %s waits for none.", task)
	}
	if s.Every < time.Second {
		c.report(c.place("every"), "Out of range", `Write "1s" or more.`, "Task %s would look every %s.", task, s.Every)
	} else if s.Patience > 0 && s.Patience < s.Every {
		c.report(c.place("patience"), "Patience ends before the second look", "Raise patience, or lower every.", "Task %s looks every %s, and gives up after %s.", task, s.Every, s.Patience)
	}
	if s.SoftFail && s.Patience == 0 {
		c.report(c.place("soft_fail"), "Endless patience", `Add patience = "6h", or remove soft_fail.`, "Task %s is to be skipped when its patience ends, and it never does.", task)
	}
}

// isZero reports whether a text is a duration, and of no length.
func isZero(text string) bool {
	d, err := source.ParseDuration(text)
	return err == nil && d == 0
}

// triggerTask is p.trigger(…).
func (e *evaluation) triggerTask(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c, td, err := e.task(t, b, pipeline.TriggerTask, args, kwargs)
	if err != nil {
		return nil, err
	}
	tr := &pipeline.Trigger{Pipeline: c.pipeline("pipeline")}
	td.Task.Trigger = tr
	if !c.has("pipeline") {
		c.report(c.at, "Missing argument", "Add pipeline = the pipeline, or its name.", "trigger needs pipeline.")
	}
	tr.Params = c.triggerParams("params")
	tr.Date = c.text("date", "", "{{ ds }}")
	tr.Wait = c.boolean("wait", false)
	if tr.Date != "" && !source.IsTemplated(tr.Date) {
		if _, err := source.ParseDate(tr.Date, time.UTC); err != nil {
			c.report(c.place("date"), "Not a date", source.DateFix, "date of task %s is %q.", td.Task.Name, tr.Date)
		}
	}
	return e.add(c, td)
}

// triggerParams reads a dict of parameters as texts, which may be templates; numbers and booleans are written as JSON does.
func (c *call) triggerParams(key string) map[string]string {
	v := c.value(key)
	if v == nil {
		return nil
	}
	dict, ok := v.(*starlark.Dict)
	if !ok {
		c.wrong(key, "a dict", v, `{"days": "{{ params.days }}"}`)
		return nil
	}
	params := map[string]string{}
	for _, item := range dict.Items() {
		name, isText := starlark.AsString(item[0])
		if !isText {
			c.wrong(key, "a dict whose keys are texts", item[0], `{"days": "7"}`)
			continue
		}
		switch value := item[1].(type) {
		case starlark.String:
			params[name] = string(value)
		case starlark.Int, starlark.Float:
			params[name] = value.String()
		case starlark.Bool:
			params[name] = fmt.Sprint(bool(value))
		default:
			c.report(c.place(key), "Wrong type", "Write a text, a number, or True or False.", "Parameter %s is %s.", name, showValue(value))
		}
	}
	return params
}
