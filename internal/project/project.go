// Package project reads a project's files into validated plain data: damson.yaml, the pipelines and models declared in
// Starlark, and the SQL files and macros they use. Its central type is Project.
//
// Loading collects every mistake as a diag.Finding with file, line and column; it never stops at the first. It refuses to
// connect to anything, to run SQL or to tell the time: the same files and the same environment variables give the same
// Project.
//
// Invariants:
//
//  1. Load returns a Project even when there are findings; it holds whatever could be read. Only a Project without errors
//     may be run.
//  2. A value that came from ${env:…} or ${file:…} is secret: it is shown as ****** by every String and JSON method here,
//     and Redact removes it from any text.
//  3. A pipeline's Version depends on its declaration, on the text of the files it uses and on the variables they read, on
//     nothing else: not on where it stands in its file, on other pipelines, on times of files or on line ends of SQL. With a
//     python or shell task it depends on all files of python/ or shell/, of which a program may use any. It is a hash: a
//     secret among the variables cannot be read from it.
package project

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"damson/internal/diag"
	"damson/internal/migrate"
	"damson/internal/pipeline"
	"damson/internal/project/source"
)

// ConfigFile is the file that makes a directory a project.
const ConfigFile = source.ConfigFile

// Options tune Load; the zero value reads the process's environment and the machine's files.
type Options struct {
	// Env names the environment; "" takes default_environment from damson.yaml.
	Env string
	// Home is the project's real directory when the files are read from a copy of them elsewhere, as a snapshot of an older
	// version is: what relative paths mean when tasks run, and where .damson is. "" is the directory that is read.
	Home string
	// Getenv looks an environment variable up for ${env:NAME}; nil is os.LookupEnv.
	Getenv func(name string) (string, bool)
	// ReadFile reads the file of ${file:PATH}; nil is os.ReadFile.
	ReadFile func(path string) ([]byte, error)
	// CheckGate says what is wrong with a model's gate; nil accepts any text.
	CheckGate func(expr string) error
	// Print receives what print(…) in a Starlark file writes; nil drops it.
	Print func(at diag.Pos, text string)
}

// Project is a project as its files declare it, seen from one environment.
type Project struct {
	Dir          string               `json:"dir"` // absolute; what relative paths of data and state are relative to
	Source       string               `json:"-"`   // absolute; where its files were read: Dir, or a snapshot of it
	Name         string               `json:"name"`
	Version      string               `json:"version"`      // content hash over all pipelines, models and pools
	Environment  Environment          `json:"environment"`  // the one in use
	Environments []string             `json:"environments"` // names, sorted
	Pipelines    []*pipeline.Pipeline `json:"pipelines"`    // by name
	Models       []*pipeline.Model    `json:"models"`       // by name
	// Pools are the pools that tasks share, by name, with the number of their slots.
	Pools map[string]int `json:"pools,omitempty"`
	// Vars are the project's variables under the environment's own; a string that came from a secret is a Secret.
	Vars map[string]any `json:"vars,omitempty"`
	// Conns are the connections templates see as conn.NAME.
	Conns map[string]Connection `json:"connections,omitempty"`

	// Migrations are the versioned changes of the warehouse's schema, by number.
	Migrations []migrate.Migration `json:"-"`

	files     []string // that Load read, sorted
	secrets   []string // values, longest first
	redactor  *strings.Replacer
	templates *templates
}

// Environment says where the project works.
type Environment struct {
	Name      string `json:"name"`
	Warehouse Secret `json:"warehouse"` // URL, "duckdb:.damson/warehouse.duckdb" by default
	Limits    Limits `json:"limits"`
	// At is where damson.yaml names the warehouse.
	At diag.Pos `json:"-"`
}

// Embedded reports whether the warehouse is a database in this process, which no other process can open meanwhile.
func (e Environment) Embedded() bool { return e.Kind() == "duckdb" }

// Limits bound what is taken from the machine by the embedded warehouse (Memory, Threads), or asked of a server (the others);
// zero values leave it to the warehouse.
type Limits struct {
	Memory           int64         `json:"memory,omitempty"` // bytes
	Threads          int           `json:"threads,omitempty"`
	StatementTimeout time.Duration `json:"statement_timeout,omitempty"` // of one statement
	LockTimeout      time.Duration `json:"lock_timeout,omitempty"`      // of one wait for a lock
	MaxConnections   int           `json:"max_connections,omitempty"`   // of one process
}

// Connection is an address with credentials, for templates.
type Connection struct {
	Type     string            `json:"type,omitempty"`
	Host     Secret            `json:"host,omitzero"`
	Port     int               `json:"port,omitempty"`
	Schema   Secret            `json:"schema,omitzero"` // database name, under Airflow's word
	Login    Secret            `json:"login,omitzero"`
	Password Secret            `json:"password,omitzero"`
	Extra    map[string]Secret `json:"extra,omitempty"`
}

// Files lists the files that decide what the project does, relative to its directory and sorted: what Load read, and what it
// found but could not read. Files that only hold secrets are not among them. The function Files lists those of today.
func (p *Project) Files() []string { return slices.Clone(p.files) }

// Files lists the files that decide what the project in dir does as they are now, without reading them: to see that one came
// or went.
func Files(dir string) []string { return source.List(dir) }

// Pipeline gives the pipeline of that name; the error is a diag.Finding that lists the names there are.
func (p *Project) Pipeline(name string) (*pipeline.Pipeline, error) {
	names := make([]string, len(p.Pipelines))
	for i, pl := range p.Pipelines {
		if pl.Name == name {
			return pl, nil
		}
		names[i] = pl.Name
	}
	return nil, unknownName("pipeline", name, names)
}

// Model gives the model of that name; the error is a diag.Finding that lists the names there are.
func (p *Project) Model(name string) (*pipeline.Model, error) {
	names := make([]string, len(p.Models))
	for i, m := range p.Models {
		if m.Name == name {
			return m, nil
		}
		names[i] = m.Name
	}
	return nil, unknownName("model", name, names)
}

// unknownName is the finding for a name that the project does not have.
func unknownName(what, name string, names []string) error {
	f := diag.Finding{
		Severity: diag.Error,
		Summary:  "Unknown " + what,
		Detail:   fmt.Sprintf("This project has no %s %q. It has: %s.", what, name, source.ListNames(names)),
		Fix:      diag.DidYouMean(name, names),
	}
	if len(names) == 0 {
		f.Detail = fmt.Sprintf("This project has no %s %q; it has no %s at all.", what, name, what)
	}
	if f.Fix == "" {
		f.Fix = "Take one of the names above, or declare it in pipelines/."
	}
	return f
}
