package airflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/template/datetime"
	"damson/internal/template/value"
)

// FromGo gives a Go value, as YAML and JSON decode it, as a Starlark value. Starlark values stay what they are; a value of
// another kind becomes its text.
func FromGo(v any) starlark.Value {
	switch v := v.(type) {
	case nil:
		return starlark.None
	case starlark.Value:
		return v
	case bool:
		return starlark.Bool(v)
	case string:
		return starlark.String(v)
	case int:
		return starlark.MakeInt(v)
	case int64:
		return starlark.MakeInt64(v)
	case uint64:
		return starlark.MakeUint64(v)
	case float64:
		return starlark.Float(v)
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return starlark.MakeInt64(i)
		}
		if f, err := v.Float64(); err == nil {
			return starlark.Float(f)
		}
		return starlark.String(v)
	case time.Time:
		return datetime.New(v)
	case time.Duration:
		return datetime.TimeDelta(v / time.Microsecond)
	case []string:
		items := make([]starlark.Value, len(v))
		for i, s := range v {
			items[i] = starlark.String(s)
		}
		return starlark.NewList(items)
	case []any:
		items := make([]starlark.Value, len(v))
		for i, x := range v {
			items[i] = FromGo(x)
		}
		return starlark.NewList(items)
	case map[string]any:
		d := starlark.NewDict(len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			_ = d.SetKey(starlark.String(name), FromGo(v[name])) // a fresh dict takes any string
		}
		return d
	}
	return starlark.String(fmt.Sprint(v))
}

var pipelineFields = []string{"dag_id", "name", "owner", "schedule", "schedule_interval", "timezone"}

func (c *Context) pipeline() *value.Record {
	return fixed("pipeline", pipelineFields, func(name string) starlark.Value {
		switch name {
		case "dag_id", "name":
			return starlark.String(c.Pipeline)
		case "owner":
			return starlark.String(c.Owner)
		case "schedule", "schedule_interval":
			return starlark.String(c.Schedule)
		case "timezone":
			return starlark.String(c.Location.String())
		}
		return nil
	})
}

var taskFields = []string{"dag_id", "name", "owner", "task_id"}

func (c *Context) task() *value.Record {
	return fixed("task", taskFields, func(name string) starlark.Value {
		switch name {
		case "task_id", "name":
			return starlark.String(c.Task)
		case "dag_id":
			return starlark.String(c.Pipeline)
		case "owner":
			return starlark.String(c.Owner)
		}
		return nil
	})
}

var runFields = []string{"conf", "dag_id", "data_interval_end", "data_interval_start", "execution_date", "external_trigger", "logical_date",
	"run_id", "run_type", "start_date", "trigger"}

func (c *Context) run() *value.Record {
	return fixed("run", runFields, func(name string) starlark.Value {
		switch name {
		case "run_id":
			return starlark.String(c.RunID)
		case "dag_id":
			return starlark.String(c.Pipeline)
		case "run_type", "trigger":
			return starlark.String(c.Trigger)
		case "external_trigger":
			return starlark.Bool(c.Trigger == "manual")
		case "logical_date", "execution_date", "data_interval_start":
			return datetime.New(c.Start.In(c.Location))
		case "data_interval_end":
			return datetime.New(c.End.In(c.Location))
		case "start_date":
			return c.moment(c.Now)
		case "conf":
			return params(c.Params)
		}
		return nil
	})
}

var taskRunFields = []string{"attempt", "dag_id", "execution_date", "logical_date", "map_index", "name", "owner", "run_id", "start_date",
	"task_id", "try_number"}

func (c *Context) taskRun() *value.Record {
	r := fixed("task_run", taskRunFields, func(name string) starlark.Value {
		switch name {
		case "task_id", "name":
			return starlark.String(c.Task)
		case "dag_id":
			return starlark.String(c.Pipeline)
		case "run_id":
			return starlark.String(c.RunID)
		case "owner":
			return starlark.String(c.Owner)
		case "try_number", "attempt":
			return starlark.MakeInt(c.Attempt)
		case "logical_date", "execution_date":
			return datetime.New(c.Start.In(c.Location))
		case "start_date":
			return c.moment(c.Now)
		case "map_index":
			return starlark.MakeInt(-1)
		}
		return nil
	})
	r.Missing = func(name string) (detail, fix string) {
		if strings.HasPrefix(name, "xcom") {
			return "Tasks hand nothing to one another through the scheduler (XCom).", "Write a table in one task and read it in the other."
		}
		return fmt.Sprintf("The task run has no %q.", name), diag.DidYouMean(name, taskRunFields)
	}
	return r
}

func (c *Context) warehouse() *value.Record {
	return fixed("warehouse", []string{"kind"}, func(name string) starlark.Value {
		if name == "kind" {
			return starlark.String(c.WarehouseKind)
		}
		return nil
	})
}

// vars is var.value.NAME, var.json.NAME, and their get(NAME, default).
func (c *Context) vars() *value.Record {
	entry := func(read func(string) (starlark.Value, error)) starlark.Value {
		return lookup("variable", func() []string { return slices.Sorted(maps.Keys(c.Vars)) }, "Add it under vars in damson.yaml.", func(name string) (starlark.Value, error) {
			if text, ok := c.Vars[name]; ok {
				return read(text)
			}
			return nil, nil
		})
	}
	return fixed("var", []string{"json", "value"}, func(name string) starlark.Value {
		switch name {
		case "value":
			return entry(func(text string) (starlark.Value, error) { return starlark.String(text), nil })
		case "json":
			return entry(fromJSON)
		}
		return nil
	})
}

func fromJSON(text string) (starlark.Value, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("the variable is not JSON: %w", err)
	}
	return FromGo(v), nil
}

// lookup is a record of entries that a project defines, with get(name, default). find gives nil for a name it does not
// know.
func lookup(kind string, names func() []string, hint string, find func(name string) (starlark.Value, error)) *value.Record {
	get := func(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		var name string
		var other starlark.Value = starlark.None
		if err := starlark.UnpackArgs("get", args, kwargs, "key", &name, "default_var?", &other); err != nil {
			return nil, err
		}
		if v, err := find(name); err != nil || v != nil {
			return v, err
		}
		return other, nil
	}
	return &value.Record{
		Kind:  kind,
		Names: func() []string { return append(names(), "get") },
		Get: func(name string) (starlark.Value, error) {
			if name == "get" {
				return datetime.Func("get", get), nil
			}
			return find(name)
		},
		Missing: func(name string) (detail, fix string) {
			if fix = diag.DidYouMean(name, names()); fix == "" {
				fix = hint
			}
			return fmt.Sprintf("There is no %s %q.", kind, name), fix
		},
	}
}

var connFields = []string{"conn_id", "conn_type", "extra", "extra_dejson", "get_uri", "host", "login", "password", "port", "schema"}

// conns is conn.ID.host and the like.
func (c *Context) conns() *value.Record {
	return lookup("connection", func() []string { return slices.Sorted(maps.Keys(c.Conns)) }, "Add it under connections in damson.yaml.", func(id string) (starlark.Value, error) {
		conn, ok := c.Conns[id]
		if !ok {
			return nil, nil
		}
		return fixed("connection", connFields, func(name string) starlark.Value { return conn.field(id, name) }), nil
	})
}

func (c Conn) field(id, name string) starlark.Value {
	switch name {
	case "conn_id":
		return starlark.String(id)
	case "conn_type":
		return starlark.String(c.Type)
	case "host":
		return starlark.String(c.Host)
	case "login":
		return starlark.String(c.Login)
	case "password":
		return starlark.String(c.Password)
	case "schema":
		return starlark.String(c.Schema)
	case "port":
		if c.Port == 0 {
			return starlark.None
		}
		return starlark.MakeInt(c.Port)
	case "extra_dejson":
		return FromGo(map[string]any(c.Extra))
	case "extra":
		text, err := json.Marshal(c.Extra)
		if err != nil || c.Extra == nil {
			text = []byte("{}")
		}
		return starlark.String(text)
	case "get_uri":
		return datetime.Func("get_uri", func(starlark.Tuple, []starlark.Tuple) (starlark.Value, error) { return starlark.String(c.uri()), nil })
	}
	return nil
}

// uri writes the connection as Airflow does: type://login:password@host:port/schema.
func (c Conn) uri() string {
	u := url.URL{Scheme: c.Type, Host: c.Host, Path: "/" + c.Schema}
	if c.Port != 0 {
		u.Host = fmt.Sprintf("%s:%d", c.Host, c.Port)
	}
	if c.Password != "" {
		u.User = url.UserPassword(c.Login, c.Password)
	} else if c.Login != "" {
		u.User = url.User(c.Login)
	}
	return u.String()
}
