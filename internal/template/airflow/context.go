// Package airflow has what a template knows of the run it is rendered for, under Airflow's names: dates, parameters, variables,
// connections, macros, and the columns of features. Its central type is Context. It renders nothing and reads no clock: Now is given.
package airflow

import (
	"maps"
	"slices"
	"sort"
	"time"

	"go.starlark.net/starlark"

	"damson/internal/template/datetime"
	"damson/internal/template/value"
)

// Context is what a task run tells its template.
type Context struct {
	Pipeline, Task, Owner, RunID, Trigger, Environment, WarehouseKind string

	Schedule   string
	Start, End time.Time      // the data interval; Start is the logical date
	Location   *time.Location // the pipeline's time zone, in which dates are told; nil = UTC
	Attempt    int
	Now        time.Time // wall clock of the attempt
	Params     map[string]any
	Vars       map[string]string
	Conns      map[string]Conn

	PrevStart, PrevEnd     time.Time // data interval of the latest earlier successful run; zero = none
	PrevStarted, PrevEnded time.Time // its wall clock
	// Item is what the task run works on and MapIndex its number, from 0, when the task is mapped, as HasItem says.
	Item     any
	MapIndex int
	HasItem  bool

	Extra starlark.StringDict
}

// Conn is a connection, as {{ conn.ID.host }} reads it.
type Conn struct {
	ID, Type, Host, Login, Password, Schema string

	Port  int
	Extra map[string]any
}

// contextNames says which names there are, and whether a name means one run: a task that covers several data intervals
// at once may not read such a name.
var contextNames = map[string]bool{
	"ds": true, "ds_nodash": true, "ts": true, "ts_nodash": true, "ts_nodash_with_tz": true,
	"logical_date": true, "execution_date": true, "prev_execution_date": true, "next_execution_date": true,
	"prev_ds": true, "prev_ds_nodash": true, "next_ds": true, "next_ds_nodash": true,
	"yesterday_ds": true, "yesterday_ds_nodash": true, "tomorrow_ds": true, "tomorrow_ds_nodash": true,
	"prev_data_interval_start_success": true, "prev_data_interval_end_success": true,
	"prev_start_date_success": true, "prev_end_date_success": true,
	"run_id": true, "dag_run": true, "run": true, "ti": true, "task_instance": true, "task_run": true,
	"task_instance_key_str": true,

	"data_interval_start": false, "data_interval_end": false,
	"dag": false, "pipeline": false, "task": false, "params": false, "var": false, "conn": false, "macros": false, "features": false,
	"warehouse": false, "env": false, "environment": false, "test_mode": false,
}

// Names lists the names that every template may read, sorted.
func Names() []string { return slices.Sorted(maps.Keys(contextNames)) }

// MappedNames lists the names that only the templates of a mapped task may read.
func MappedNames() []string { return []string{"item", "map_index"} }

// SingleDateNames lists the names that mean one run, sorted; a task that covers several data intervals at once may not
// read them.
func SingleDateNames() []string {
	var names []string
	for name, single := range contextNames {
		if single {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

// Names gives the values of all names of the context. The values belong to one rendering at a time: macros.random and
// macros.uuid go on with every use.
func (c Context) Names() starlark.StringDict {
	if c.Location == nil {
		c.Location = time.UTC
	}
	start, end := c.Start.In(c.Location), c.End.In(c.Location)
	before, after := previous(start, end), end
	yesterday, tomorrow := start.AddDate(0, 0, -1), start.AddDate(0, 0, 1)
	logical := datetime.New(start)
	run, task := c.run(), c.taskRun()
	pipeline := c.pipeline()
	names := starlark.StringDict{
		"logical_date": logical, "execution_date": logical, "data_interval_start": logical,
		"data_interval_end":   datetime.New(end),
		"prev_execution_date": datetime.New(before), "next_execution_date": datetime.New(after),
		"ts": starlark.String(logical.ISOFormat("T")), "ts_nodash": layout(start, "20060102T150405"),
		"ts_nodash_with_tz":                layout(start, "20060102T150405-0700"),
		"prev_data_interval_start_success": c.moment(c.PrevStart), "prev_data_interval_end_success": c.moment(c.PrevEnd),
		"prev_start_date_success": c.moment(c.PrevStarted), "prev_end_date_success": c.moment(c.PrevEnded),
		"run_id": starlark.String(c.RunID), "dag": pipeline, "pipeline": pipeline, "task": c.task(), "params": params(c.Params),
		"dag_run": run, "run": run, "ti": task, "task_instance": task, "task_run": task,
		"var": c.vars(), "conn": c.conns(), "macros": c.macros(), "warehouse": c.warehouse(), "features": features(),
		"env": starlark.String(c.Environment), "environment": starlark.String(c.Environment), "test_mode": starlark.False,
		"task_instance_key_str": starlark.String(c.Pipeline + "__" + c.Task + "__" + start.Format("20060102")),
		"ds":                    layout(start, dashed), "ds_nodash": layout(start, undashed),
		"prev_ds": layout(before, dashed), "prev_ds_nodash": layout(before, undashed),
		"next_ds": layout(after, dashed), "next_ds_nodash": layout(after, undashed),
		"yesterday_ds": layout(yesterday, dashed), "yesterday_ds_nodash": layout(yesterday, undashed),
		"tomorrow_ds": layout(tomorrow, dashed), "tomorrow_ds_nodash": layout(tomorrow, undashed),
	}
	if c.HasItem {
		names["item"], names["map_index"] = FromGo(c.Item), starlark.MakeInt(c.MapIndex)
	}
	for name, v := range c.Extra {
		names[name] = v
	}
	return names
}

const dashed, undashed = "2006-01-02", "20060102"

func layout(t time.Time, form string) starlark.Value { return starlark.String(t.Format(form)) }

// previous gives the logical date of the interval before: as many months, days or hours earlier as the interval is long
// on the calendar. A schedule of uneven steps (weekdays only) has no better answer in a single interval.
func previous(start, end time.Time) time.Time {
	months := (end.Year()-start.Year())*12 + int(end.Month()-start.Month())
	if months > 0 && start.AddDate(0, months, 0).Equal(end) {
		return start.AddDate(0, -months, 0)
	}
	days := int(civil(end).Sub(civil(start)) / (24 * time.Hour))
	if days > 0 && start.AddDate(0, 0, days).Equal(end) {
		return start.AddDate(0, 0, -days)
	}
	return start.Add(start.Sub(end))
}

// civil gives a day as a moment, so that days can be counted.
func civil(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
}

// moment gives a time, or None for the zero time.
func (c *Context) moment(t time.Time) starlark.Value {
	if t.IsZero() {
		return starlark.None
	}
	return datetime.New(t.In(c.Location))
}

// params gives the parameters as a dict that templates can read and not change.
func params(values map[string]any) starlark.Value {
	d := starlark.NewDict(len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		_ = d.SetKey(starlark.String(name), FromGo(values[name])) // a fresh dict takes any string
	}
	d.Freeze()
	return d
}

// fixed makes a record whose values get gives; names lists them.
func fixed(kind string, names []string, get func(name string) starlark.Value) *value.Record {
	return &value.Record{Kind: kind, Names: func() []string { return slices.Clone(names) },
		Get: func(name string) (starlark.Value, error) { return get(name), nil }}
}
