package tasks

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"damson/internal/diag"
	"damson/internal/engine"
	"damson/internal/pipeline"
	"damson/internal/template/airflow"
)

// inherited are the variables that a program gets from Damson's own environment. All others stay away from it, since
// passwords stand in them: a task names those that its program needs in env.
var inherited = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR",
	"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "CONDA_PREFIX", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
}

// environ is Damson's environment by name.
func (s *Shop) environ() map[string]string {
	list := s.Environ
	if list == nil {
		list = os.Environ()
	}
	all := make(map[string]string, len(list))
	for _, pair := range list {
		if name, value, ok := strings.Cut(pair, "="); ok {
			all[name] = value
		}
	}
	return all
}

// command is a program as it will run.
type command struct {
	path string
	args []string
	env  map[string]string // what the task declares, rendered
	own  map[string]string // what the kind of program needs
}

// command renders a python or shell task.
func (s *Shop) command(t *pipeline.Task, c airflow.Context) (cmd command, err error) {
	render := func(text string) string {
		if err == nil {
			text, err = s.Renderer.RenderText(t, text, c)
		}
		return text
	}
	p := t.Process
	cmd.env = make(map[string]string, len(p.Env))
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		cmd.env[name] = render(p.Env[name])
	}
	switch {
	case p.Command != "":
		cmd.path, cmd.args = "sh", []string{"-c", render(p.Command)}
	case t.Kind == pipeline.PythonTask:
		cmd.path, cmd.own = s.python()
		cmd.args = []string{s.programFile(p.File)}
	default:
		cmd.path, cmd.args = "sh", []string{s.programFile(p.File)}
	}
	if p.Command == "" {
		for _, arg := range p.Args {
			cmd.args = append(cmd.args, render(arg))
		}
	}
	return cmd, err
}

// programFile gives the path of a program as its process, which works in the project's directory, finds it: of the version of
// the project that runs, which may be a copy.
func (s *Shop) programFile(file string) string {
	if s.Project.Source == s.Project.Dir {
		return file
	}
	return filepath.Join(s.Project.Source, file)
}

// python chooses the interpreter: DAMSON_PYTHON, the project's .venv, or python3. What stands in the project's python/ may
// be imported.
func (s *Shop) python() (path string, env map[string]string) {
	all := s.environ()
	modules := filepath.Join(s.Project.Source, "python")
	if more := all["PYTHONPATH"]; more != "" {
		modules += string(filepath.ListSeparator) + more
	}
	env = map[string]string{"PYTHONPATH": modules, "PYTHONUNBUFFERED": "1"}
	if path := all["DAMSON_PYTHON"]; path != "" {
		if strings.ContainsRune(path, '/') && !filepath.IsAbs(path) {
			path = filepath.Join(s.Project.Dir, path)
		}
		return path, env
	}
	venv := filepath.Join(s.Project.Dir, ".venv")
	path = filepath.Join(venv, "bin", "python")
	if _, err := os.Stat(path); err == nil {
		env["VIRTUAL_ENV"], env["PATH"] = venv, filepath.Join(venv, "bin")+string(filepath.ListSeparator)+all["PATH"]
		return path, env
	}
	return "python3", env
}

// locate finds a program in the PATH that it will have itself; "" when it is not there.
func locate(path, searched string) string {
	if strings.ContainsRune(path, '/') {
		return runnable(path)
	}
	for _, dir := range filepath.SplitList(searched) {
		if filepath.IsAbs(dir) { // another would mean the project's directory, and any file in it
			if found := runnable(filepath.Join(dir, path)); found != "" {
				return found
			}
		}
	}
	return ""
}

func runnable(path string) string {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
		return path
	}
	return ""
}

// facts is what a program is told of its attempt, in the file at DAMSON_CONTEXT.
type facts struct {
	Pipeline    string            `json:"pipeline"`
	Task        string            `json:"task"`
	Owner       string            `json:"owner,omitempty"`
	RunID       string            `json:"run_id"`
	Trigger     string            `json:"trigger"`
	Attempt     int               `json:"attempt"`
	Environment string            `json:"environment"`
	DS          string            `json:"ds"`
	LogicalDate string            `json:"logical_date"`
	Start       string            `json:"data_interval_start"`
	End         string            `json:"data_interval_end"`
	Params      map[string]any    `json:"params"`
	Item        any               `json:"item,omitempty"`
	MapIndex    *int              `json:"map_index,omitempty"`
	Inputs      map[string]string `json:"inputs,omitempty"` // paths by name
	Output      string            `json:"output,omitempty"`
}

// variables puts a program's environment together: what it inherits, what its kind needs, what the task declares, and what
// Damson tells it, each over those before. It writes the file with the facts.
func (s *Shop) variables(w engine.Work, c airflow.Context, cmd command, r *room, inputs map[string]string) ([]string, error) {
	all := map[string]string{}
	ours := s.environ()
	for name, value := range ours {
		if slices.Contains(inherited, name) || strings.HasPrefix(name, "LC_") {
			all[name] = value
		}
	}
	maps.Copy(all, cmd.own)
	maps.Copy(all, cmd.env)
	f := s.facts(w, c, inputs)
	told := map[string]string{
		"PIPELINE": f.Pipeline, "TASK": f.Task, "RUN_ID": f.RunID, "ATTEMPT": strconv.Itoa(f.Attempt), "DS": f.DS,
		"DATA_INTERVAL_START": f.Start, "DATA_INTERVAL_END": f.End, "CONTEXT": r.path("context.json"),
	}
	for name, path := range inputs {
		told["INPUT_"+variableName(name)] = path
	}
	if w.Task.Process.Target != nil {
		f.Output = r.path("output.parquet")
		told["OUTPUT"] = f.Output
	}
	if f.MapIndex != nil {
		told["MAP_INDEX"] = strconv.Itoa(*f.MapIndex)
	}
	for name, value := range told {
		all["DAMSON_"+name] = value
	}
	text, err := json.MarshalIndent(f, "", "  ")
	if err == nil {
		err = os.WriteFile(told["CONTEXT"], append(text, '\n'), 0o600)
	}
	if err != nil {
		return nil, noRoom(r.dir, err)
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if strings.ContainsRune(all[name], 0) {
			return nil, diag.Finding{At: w.Task.At, Summary: "A variable with a NUL character",
				Detail: fmt.Sprintf("The value of %s for task %s has one; programs cannot be given it.", name, w.Task.Name), Fix: "Leave it out."}
		}
		list = append(list, name+"="+all[name])
	}
	return list, nil
}

func (s *Shop) facts(w engine.Work, c airflow.Context, inputs map[string]string) facts {
	start, end := c.Start.In(c.Location), c.End.In(c.Location)
	f := facts{
		Pipeline: c.Pipeline, Task: w.Task.Name, Owner: c.Owner, RunID: c.RunID, Trigger: c.Trigger, Attempt: c.Attempt,
		Environment: s.Project.Environment.Name, DS: start.Format(time.DateOnly), LogicalDate: start.Format(time.RFC3339),
		Start: start.Format(time.RFC3339), End: end.Format(time.RFC3339), Params: map[string]any{}, Inputs: inputs,
	}
	maps.Copy(f.Params, w.Pipeline.Params)
	maps.Copy(f.Params, c.Params)
	if c.HasItem {
		f.Item, f.MapIndex = c.Item, &c.MapIndex
	}
	return f
}

// variableName makes an input's name the end of a variable's: "daily points" is DAILY_POINTS.
func variableName(name string) string {
	return strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return unicode.ToUpper(r)
		}
		return '_'
	}, name)
}

// Python gives the interpreter of python tasks; found is false when it is not there.
func (s *Shop) Python() (path string, found bool) {
	path, env := s.python()
	searched := s.environ()["PATH"]
	if own := env["PATH"]; own != "" {
		searched = own
	}
	if at := locate(path, searched); at != "" {
		return at, true
	}
	return path, false
}
