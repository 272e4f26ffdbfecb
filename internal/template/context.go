package template

import (
	"time"

	"go.starlark.net/starlark"
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
	Extra                  starlark.StringDict
}

// Conn is a connection, as {{ conn.ID.host }} reads it.
type Conn struct {
	ID, Type, Host, Login, Password, Schema string

	Port  int
	Extra map[string]any
}

// Names gives the values of all names of the context.
func (c Context) Names() starlark.StringDict { return starlark.StringDict{} }

// ContextNames lists the names that every template may read, sorted.
func ContextNames() []string { return nil }

// SingleDateNames lists the names that mean one run, sorted; a task that covers several data intervals at once may not
// read them.
func SingleDateNames() []string { return nil }
