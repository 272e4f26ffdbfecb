// Package declare evaluates a project's Starlark files: it gives the pipelines, tasks and models they declare, with the places
// of their arguments, and what is wrong with each by itself. Its central function is Read; Pipeline.Resolve orders the tasks.
//
// Evaluation is deterministic and bounded in steps, memory and declarations. A wrong argument becomes a finding at that
// argument and counts as not given, so that one evaluation shows all mistakes. What needs other files (SQL, programs,
// other pipelines) is judged by package project.
package declare

import (
	"fmt"
	"path"
	"regexp"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"time"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/project/source"
)

// bounds keep the evaluation of declarations from eating the machine.
type bounds struct {
	steps     uint64 // of one file
	heap      uint64 // bytes by which the whole evaluation may let the process grow
	elements  int    // of one range, or of one text or list made by repetition
	tasks     int    // of the project
	pipelines int
}

func defaultBounds() bounds {
	return bounds{steps: 20_000_000, heap: 1 << 30, elements: 1_000_000, tasks: 200_000, pipelines: 20_000}
}

// fileOptions are the language: Python's control flow at top level, no recursion, no unbounded loops.
var fileOptions = &syntax.FileOptions{Set: true, TopLevelControl: true, GlobalReassign: true}

// module is one Starlark file.
type module struct {
	file    *source.File
	program *starlark.Program
	calls   map[[2]int32]*syntax.CallExpr // by the place of their parenthesis, which is what a call frame knows
	state   moduleState
	globals starlark.StringDict
	err     error // why it ended, when it did
}

type moduleState int

const (
	waiting moduleState = iota
	evaluating
	evaluated
)

// evaluation runs the project's Starlark files and collects what they declare.
type evaluation struct {
	bounds    bounds
	defaults  Defaults
	checkGate func(string) error
	print     func(diag.Pos, string)

	modules   map[string]*module
	order     []string
	builtins  starlark.StringDict
	methods   map[string]*starlark.Builtin
	findings  diag.Findings
	pipelines []*Pipeline
	models    []*pipeline.Model
	tasks     int
	running   atomic.Pointer[starlark.Thread]
}

// Options tune Read.
type Options struct {
	Defaults Defaults
	// CheckGate says what is wrong with a model's gate; nil accepts any text.
	CheckGate func(expr string) error
	// Print receives what print(…) in a file writes; nil drops it.
	Print func(at diag.Pos, text string)
	// Steps bounds the evaluation of one file; 0 is 20 million.
	Steps uint64
}

// Declared is what files declare, in the order of its evaluation. Names may stand twice.
type Declared struct {
	Pipelines []*Pipeline
	Models    []*pipeline.Model
	Findings  diag.Findings
	// Incomplete says that a file was not read to its end, so that what it would have declared is not known.
	Incomplete bool
}

// Read evaluates all files under pipelines/. Files under lib/ are evaluated when they are loaded.
func Read(files []*source.File, opts Options) Declared {
	e := &evaluation{bounds: defaultBounds(), defaults: opts.Defaults, checkGate: opts.CheckGate, print: opts.Print}
	if opts.Steps > 0 {
		e.bounds.steps = opts.Steps
	}
	e.evaluate(files)
	return Declared{Pipelines: e.pipelines, Models: e.models, Findings: e.findings, Incomplete: e.incomplete()}
}

// evaluate runs all files under pipelines/ in the order of their names. Files under lib/ run when they are loaded.
func (e *evaluation) evaluate(files []*source.File) {
	e.modules = map[string]*module{}
	e.builtins, e.methods = e.predeclared(), e.taskMethods()
	modules := make([]*module, len(files))
	problems := make([]diag.Findings, len(files))
	source.Parallel(len(files), func(i int) { modules[i], problems[i] = e.compile(files[i]) })
	for i, m := range modules {
		e.findings = append(e.findings, problems[i]...)
		e.modules[m.file.Path] = m
		e.order = append(e.order, m.file.Path)
	}
	stop := e.watchMemory()
	defer stop()
	for _, m := range modules {
		if strings.HasPrefix(m.file.Path, "pipelines/") {
			e.run(m)
		}
	}
}

// compile parses one file. Its calls are indexed, so that findings can point at an argument; its repetitions are bounded.
func (e *evaluation) compile(file *source.File) (*module, diag.Findings) {
	m := &module{file: file, calls: map[[2]int32]*syntax.CallExpr{}}
	if f := tooLarge(file); f != nil {
		m.state, m.err = evaluated, *f
		return m, diag.Findings{*f}
	}
	parsed, err := fileOptions.Parse(file.Path, freeLoad(file.Text), 0)
	if err == nil {
		syntax.Walk(parsed, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.CallExpr:
				m.calls[[2]int32{n.Lparen.Line, n.Lparen.Col}] = n
			case *syntax.BinaryExpr:
				if n.Op == syntax.STAR {
					n.Y = guardFactor(n.Y)
				}
			case *syntax.AssignStmt:
				if n.Op == syntax.STAR_EQ {
					n.RHS = guardFactor(n.RHS)
				}
			}
			return true
		})
		m.program, err = starlark.FileProgram(parsed, func(name string) bool { return name == factorName || e.builtins.Has(name) })
	}
	if err == nil {
		return m, nil
	}
	m.state, m.err = evaluated, err
	return m, syntaxFindings(file.Path, err, e.builtins.Keys())
}

// syntaxFindings turns what the parser and the resolver say into findings.
func syntaxFindings(file string, err error, builtins []string) diag.Findings {
	var fs diag.Findings
	add := func(pos syntax.Position, message string) {
		f := diag.Finding{At: starPos(pos), Severity: diag.Error, Summary: "Not valid Starlark", Detail: message + ".", Fix: syntaxFix(message)}
		if name, ok := strings.CutPrefix(message, "undefined: "); ok {
			name, hint, _ := strings.Cut(name, " (")
			f.Summary, f.Detail = "Undefined name", fmt.Sprintf("Nothing is called %s here.", name)
			f.Fix = "Define it above, or load() it from another file."
			if near := diag.Nearest(name, builtins); hint == "" && near != "" {
				hint = near
			}
			if hint = strings.TrimSuffix(strings.TrimPrefix(hint, "did you mean "), "?)"); hint != "" {
				f.Fix = fmt.Sprintf("Did you mean %q?", hint)
			}
		}
		fs = append(fs, f)
	}
	switch err := err.(type) {
	case syntax.Error:
		add(err.Pos, err.Msg)
	case resolve.ErrorList:
		for _, one := range err {
			add(one.Pos, one.Msg)
		}
	default:
		fs = append(fs, diag.Finding{At: diag.Pos{File: file}, Severity: diag.Error, Summary: "Not valid Starlark", Detail: err.Error(),
			Fix: "Correct the file."})
	}
	return fs
}

// syntaxFix advises on the mistakes people bring along from Python.
func syntaxFix(message string) string {
	switch {
	case strings.Contains(message, "while"):
		return "Use a for loop over range(n): declarations end for certain."
	case strings.Contains(message, "import"), strings.Contains(message, "class"), strings.Contains(message, "try"),
		strings.Contains(message, "lambda"), strings.Contains(message, "with"):
		return `Starlark is the declarative part of Python: functions, loops and load("lib/file.star", "name"), no import, class, try or with.`
	case strings.Contains(message, "nesting"):
		return "Split the expression: give its parts names."
	case strings.Contains(message, "indent"):
		return "Indent the lines of a block alike, with spaces."
	}
	return "Correct the line; a comma, bracket or quote before it may be missing."
}

// starPos is a Starlark position in the project's terms.
func starPos(p syntax.Position) diag.Pos {
	return diag.Pos{File: p.Filename(), Line: int(p.Line), Col: int(p.Col)}
}

// run evaluates a module once.
func (e *evaluation) run(m *module) {
	if m.state != waiting {
		return
	}
	m.state = evaluating
	thread := &starlark.Thread{Name: m.file.Path, Load: e.load, Print: e.printed}
	thread.SetMaxExecutionSteps(e.bounds.steps)
	thread.OnMaxSteps = func(t *starlark.Thread) { t.Cancel(tooManySteps) }
	before := e.running.Swap(thread)
	globals, err := m.program.Init(thread, e.builtins)
	e.running.Store(before)
	globals.Freeze()
	m.globals, m.state, m.err = globals, evaluated, err
	if err != nil {
		e.findings = append(e.findings, e.runtimeFinding(m, err))
	}
}

const (
	tooManySteps  = "too many steps"
	tooMuchMemory = "too much memory"
)

func (e *evaluation) printed(t *starlark.Thread, text string) {
	if e.print != nil {
		e.print(starPos(t.CallFrame(1).Pos), text)
	}
}

// load gives the names of another file. A name is meant from the project's directory when it begins with pipelines/ or
// lib/, otherwise from the directory of the file that loads.
func (e *evaluation) load(t *starlark.Thread, name string) (starlark.StringDict, error) {
	target := path.Clean(strings.TrimPrefix(name, "//"))
	if !inFolder(target) {
		target = path.Join(path.Dir(t.Name), name)
	}
	m := e.modules[target]
	switch {
	case path.IsAbs(name) && !strings.HasPrefix(name, "//"), !inFolder(target):
		return nil, fmt.Errorf("load() reads files under pipelines/ and lib/ only")
	case m == nil:
		files := make([]*source.File, len(e.order))
		for i, p := range e.order {
			files[i] = &source.File{Path: p}
		}
		if near := source.Near(target, files); near != "" {
			return nil, fmt.Errorf("there is no file %s (did you mean %s?)", target, near)
		}
		return nil, fmt.Errorf("there is no file %s", target)
	case m.state == evaluating:
		return nil, fmt.Errorf("%s is being loaded already: the files load each other in a circle", target)
	}
	e.run(m)
	if m.err != nil {
		return nil, fmt.Errorf("%s has errors of its own", target)
	}
	return m.globals, nil
}

func inFolder(name string) bool {
	return strings.HasPrefix(name, "pipelines/") || strings.HasPrefix(name, "lib/")
}

var (
	unknownBinary = regexp.MustCompile(`^unknown binary op: (\S+) (>>|<<) (\S+)$`)
	didYouMean    = regexp.MustCompile(`^(.*) \(did you mean (.*)\?\)$`)
)

// runtimeFinding says where and why an evaluation ended.
func (e *evaluation) runtimeFinding(m *module, err error) diag.Finding {
	f := diag.Finding{At: diag.Pos{File: m.file.Path}, Severity: diag.Error, Summary: "Evaluation stopped", Cause: err}
	message := err.Error()
	if evalErr, ok := err.(*starlark.EvalError); ok {
		message = evalErr.Msg
		f.At, f.Detail = e.place(evalErr.CallStack)
	}
	message = strings.ReplaceAll(strings.TrimPrefix(message, "Starlark computation cancelled: "), loadMethod, "load")
	switch ops := unknownBinary.FindStringSubmatch(message); {
	case message == tooManySteps:
		f.Summary = "Too many steps"
		message = fmt.Sprintf("The file took more than %d steps", e.bounds.steps)
		f.Fix = "Look for a loop that runs too often; data is worked on in SQL, not here."
	case message == tooMuchMemory:
		f.Summary = "Too much memory"
		message = fmt.Sprintf("The declarations took more than %d MiB of memory", e.bounds.heap>>20)
		f.Fix = "Look for a list or text that grows in a loop; data is worked on in SQL, not here."
	case ops != nil && ops[1] == "list" && ops[3] == "list":
		f.Summary = "Two lists cannot be ordered"
		message = fmt.Sprintf("list %s list does not say which task waits for which", ops[2])
		f.Fix = "Use chain([a, b], [c, d]) to pair them, or a loop: for t in [c, d]: [a, b] >> t."
	case ops != nil:
		f.Summary = "Not a task"
		message = fmt.Sprintf("%s %s %s: order is set between tasks, groups and lists of them", ops[1], ops[2], ops[3])
		f.Fix = "Put what p.sql(…), p.group(…) and the like gave on both sides."
	case strings.HasPrefix(message, "cannot load "):
		f.Summary = "Cannot load"
		f.Fix = `Write load("lib/file.star", "name").`
	case strings.HasPrefix(message, "fail: "):
		f.Summary = "The file says fail"
		f.Fix = "Mend what its message tells."
	}
	if hint := didYouMean.FindStringSubmatch(message); hint != nil {
		message, f.Fix = hint[1], fmt.Sprintf("Did you mean %q?", strings.TrimPrefix(hint[2], "."))
	}
	if f.Fix == "" {
		f.Fix = "Correct the expression; the rest of this file was not read."
	}
	f.Detail = message + "." + f.Detail
	return f
}

// place gives the innermost place in a file, and the calls that led there.
func (e *evaluation) place(stack starlark.CallStack) (diag.Pos, string) {
	var at diag.Pos
	var calls strings.Builder
	for i := range stack {
		frame := stack.At(i)
		if frame.Pos.Line == 0 || frame.Pos.Filename() == "<builtin>" {
			continue
		}
		if at.Line == 0 {
			at = e.callPos(frame.Pos)
			continue
		}
		fmt.Fprintf(&calls, "\nCalled at %s.", e.callPos(frame.Pos))
	}
	return at, calls.String()
}

// callPos gives the beginning of the call whose parenthesis stands at pos, or pos.
func (e *evaluation) callPos(pos syntax.Position) diag.Pos {
	if m := e.modules[pos.Filename()]; m != nil {
		if node := m.calls[[2]int32{pos.Line, pos.Col}]; node != nil {
			return starPos(syntax.Start(node))
		}
	}
	return starPos(pos)
}

// incomplete reports whether a file was not read to its end, so that what it would have declared is not known.
func (e *evaluation) incomplete() bool {
	for _, m := range e.modules {
		if m.err != nil {
			return true
		}
	}
	return false
}

// watchMemory stops the evaluation when the process grows too much. The language bounds steps, but one step may double a
// text; this looks at the heap while the files run.
func (e *evaluation) watchMemory() (stop func()) {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	heap := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	limit := heap() + e.bounds.heap
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if heap() < limit {
				continue
			}
			runtime.GC() // what is no longer reachable does not count
			if t := e.running.Load(); heap() >= limit && t != nil {
				t.Cancel(tooMuchMemory)
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}
