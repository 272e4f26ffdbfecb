package project

import (
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
)

// resolveFiles finds the files that tasks name: SQL, and programs.
func (l *loader) resolveFiles(d *pipelineDecl) {
	for _, t := range d.tasks {
		task := t.task
		switch {
		case task.SQL != nil:
			task.SQL.File = l.taskFile(d, t, task.SQL.File)
			if f := l.templates.files[task.SQL.File]; f != nil {
				f.asTask = true
			}
		case task.Branch != nil && task.Branch.Choose == "" && !has(t, "choose"):
			task.Branch.File = l.taskFile(d, t, task.Branch.File)
		case task.Condition != nil && task.Condition.When == "" && !has(t, "when"):
			task.Condition.File = l.taskFile(d, t, task.Condition.File)
		case task.Sensor != nil && task.Sensor.File != "":
			task.Sensor.File = l.sqlFile(t, "sql", l.nameOrFile(d, task.Sensor.File))
		case task.Process != nil && task.Process.Command == "" && !has(t, "command"):
			l.resolveProgram(d, t)
		}
		if task.Map != nil && task.Map.File != "" {
			task.Map.File = l.sqlFile(t, "over", l.nameOrFile(d, task.Map.File))
		}
	}
}

// has reports whether an argument was given.
func has(t *taskDecl, key string) bool {
	_, ok := t.at[key]
	return ok
}

// taskFile finds the SQL file of a task: the one it names, else by its own name.
func (l *loader) taskFile(d *pipelineDecl, t *taskDecl, file string) string {
	if file == "" {
		file = l.fileOf(d.pipeline.Name, t.task.Name)
	}
	return l.sqlFile(t, "file", file)
}

// resolveProgram finds the program of a python or shell task: the file it names, else by its own name.
func (l *loader) resolveProgram(d *pipelineDecl, t *taskDecl) {
	p := t.task.Process
	folder, ending := pythonFolder, ".py"
	if t.task.Kind == pipeline.ShellTask {
		folder, ending = shellFolder, ".sh"
	}
	if p.File == "" {
		p.File = folder + "/" + d.pipeline.Name + "/" + t.task.Name + ending
		if l.programs[p.File] == nil && !l.tree.broken[p.File] {
			p.File = folder + "/" + t.task.Name + ending
		}
	}
	p.File = path.Clean(strings.ReplaceAll(p.File, `\`, "/"))
	f := l.programs[p.File]
	switch {
	case l.tree.broken[p.File] || t.task.Name == "" && !has(t, "file"):
	case !strings.HasPrefix(p.File, folder+"/"):
		l.errorf(t.pos("file"), "Program elsewhere", fmt.Sprintf("Put it under %s/, so that it counts as a part of the project.", folder),
			"Task %s runs %s, which is not under %s/.", t.task.Name, p.File, folder)
	case f == nil:
		fix := fmt.Sprintf("Write %s.", p.File)
		if near := nearFile(p.File, l.tree.programs); near != "" && strings.HasPrefix(near, folder+"/") {
			fix = fmt.Sprintf("Did you mean %q?", near)
		}
		l.errorf(t.pos("file"), "Missing program", fix, "Task %s runs %s, which is not there.", t.task.Name, p.File)
	case strings.TrimSpace(f.text) == "":
		l.once(diag.Finding{At: diag.Pos{File: f.path, Line: 1, Col: 1}, Severity: diag.Error, Summary: "Empty program",
			Detail: fmt.Sprintf("%s has nothing to run.", f.path), Fix: "Write the program, or delete the file and its task."})
	case folder == shellFolder && strings.Contains(f.text, "\r\n"):
		l.once(diag.Finding{At: diag.Pos{File: f.path, Line: 1 + strings.Count(f.text[:strings.Index(f.text, "\r\n")], "\n")}, Severity: diag.Error,
			Summary: "Windows line ends in a shell script", Fix: "Save it with line ends of \\n.",
			Detail: fmt.Sprintf("sh would take the carriage return at the end of each line of %s for a part of the command.", f.path)})
	}
}

// fileOf gives sql/<pipeline>/<name>.sql when it is there, else sql/<name>.sql.
func (l *loader) fileOf(pipeline, name string) string {
	own := "sql/" + pipeline + "/" + name + ".sql"
	if l.templates.files[own] != nil || l.tree.broken[own] {
		return own
	}
	return "sql/" + name + ".sql"
}

// sqlFile looks a file up and reports it when it is not there.
func (l *loader) sqlFile(t *taskDecl, key, file string) string {
	clean := path.Clean(strings.ReplaceAll(file, `\`, "/"))
	if l.templates.files[clean] != nil || l.tree.broken[clean] {
		return clean
	}
	if t.task.Name == "" && key == "file" && t.at["file"] == (diag.Pos{}) {
		return clean // a task without name is a finding already
	}
	fix := fmt.Sprintf("Write %s.", clean)
	if near := nearFile(clean, l.tree.sql); near != "" {
		fix = fmt.Sprintf("Did you mean %q?", near)
	}
	l.errorf(t.pos(key), "Missing SQL file", fix, "Task %s runs %s, which is not there.", t.task.Name, clean)
	return clean
}

// writer is a task with the table it writes.
type writer struct {
	task  *taskDecl
	table string
}

// writers lists all tasks of the project that write a table.
func (l *loader) writers() []writer {
	var ws []writer
	for _, d := range l.pipelines {
		for _, t := range d.tasks {
			if into := t.task.Into(); into != "" {
				ws = append(ws, writer{task: t, table: tableKey(into)})
			}
		}
	}
	return ws
}

// tableKey is a table's name in one spelling.
func tableKey(name string) string {
	schema, table, err := sqltext.ParseName(name)
	if err != nil {
		return name
	}
	return schema + "." + table
}

// resolveModels checks the models that tasks name.
func (l *loader) resolveModels(d *pipelineDecl) {
	for _, t := range d.tasks {
		name := t.task.ModelName()
		if name == "" || l.models[name] != nil {
			continue
		}
		names := make([]string, 0, len(l.project.Models))
		for _, m := range l.project.Models {
			names = append(names, m.Name)
		}
		fix := diag.DidYouMean(name, names)
		if fix == "" {
			fix = fmt.Sprintf("Declare it with model(name = %q, …).", name)
		}
		l.errorf(t.pos("model"), "Unknown model", fix, "Task %s uses the model %q, which no file declares.", t.task.Name, name)
	}
}

// resolveSources finds what train and score tasks and the inputs of programs read, in this order: a SQL file of that name
// that no sql task runs; the table of a task of that name, in the same pipeline or else the only one in the project; a
// table schema.table.
func (l *loader) resolveSources(d *pipelineDecl, all []writer) {
	for _, t := range d.tasks {
		if source := t.task.Source(); source != "" {
			t.setSource(l.resolveSource(d, t, "source", source, all))
		}
		if t.task.Process == nil {
			continue
		}
		for i := range t.task.Process.Inputs {
			in := &t.task.Process.Inputs[i]
			if in.Table, in.File = l.resolveSource(d, t, "inputs", in.Table, all); in.File != "" {
				in.Table = ""
			}
		}
	}
}

// resolveSource gives the table, or the name of the SQL file and its path. What is neither becomes a finding at the
// argument key.
func (l *loader) resolveSource(d *pipelineDecl, t *taskDecl, key, source string, all []writer) (name, file string) {
	if file := l.templates.files[l.nameOrFile(d, source)]; file != nil && !file.asTask {
		return strings.TrimSuffix(path.Base(source), ".sql"), file.path
	}
	if w := l.writerNamed(d, source, all); w != nil {
		l.checkOrder(t, w, key)
		return w.task.Into(), ""
	}
	if !l.sourceTable(d, t, key, source, all) {
		l.unknownSource(t, key, source, all)
	}
	return source, ""
}

func (t *taskDecl) setSource(source, file string) {
	if t.task.Train != nil {
		t.task.Train.Source, t.task.Train.File = source, file
	} else {
		t.task.Score.Source, t.task.Score.File = source, file
	}
}

// writerNamed gives the task of that name that writes a table.
func (l *loader) writerNamed(d *pipelineDecl, name string, all []writer) *taskDecl {
	for _, t := range d.tasks {
		if t.task.Name == name && t.task.Into() != "" {
			return t
		}
	}
	var only *taskDecl
	for _, w := range all {
		if w.task.task.Name != name {
			continue
		}
		if only != nil && only.task.Into() != w.task.task.Into() {
			return nil // two pipelines have such a task; the table must be named
		}
		only = w.task
	}
	return only
}

// sourceTable reads the source as a table, and reports whether it is one.
func (l *loader) sourceTable(d *pipelineDecl, t *taskDecl, key, source string, all []writer) bool {
	schema, _, err := sqltext.ParseName(source)
	if err != nil || schema == "" {
		return false
	}
	table := tableKey(source)
	for _, w := range all {
		if w.table == table && w.task.pipeline == d && w.task != t {
			l.checkOrder(t, w.task, key)
		}
	}
	return true
}

func (l *loader) unknownSource(t *taskDecl, key, source string, all []writer) {
	var names []string
	for _, f := range l.tree.sql {
		if file := l.templates.files[f.path]; file != nil && !file.asTask {
			names = append(names, strings.TrimSuffix(path.Base(f.path), ".sql"))
		}
	}
	for _, w := range all {
		names = append(names, w.task.task.Name)
	}
	for _, w := range all {
		names = append(names, w.task.task.Into())
	}
	fix := diag.DidYouMean(source, names)
	if fix == "" {
		fix = `Write a table as schema.table, or the name of a SQL file or of a task that writes a table.`
	}
	l.errorf(t.pos(key), "Unknown source", fix, "Task %s reads %q, which is neither a table schema.table, nor a file sql/%s.sql, nor a task with into.",
		t.task.Name, source, strings.TrimSuffix(source, ".sql"))
}

// checkOrder warns when reader may run before the task that makes its rows.
func (l *loader) checkOrder(reader, maker *taskDecl, key string) {
	if reader.pipeline != maker.pipeline || reader == maker || reader.waitsFor(maker, map[*taskDecl]bool{}) {
		return
	}
	l.warn(reader.pos(key), "No order between a table's writer and its reader", fmt.Sprintf("Add %s >> %s.", maker.task.Name, reader.task.Name),
		"Task %s reads %s, which task %s writes, but does not wait for it.", reader.task.Name, maker.task.Into(), maker.task.Name)
}

// waitsFor reports whether other stands before t, directly or not.
func (t *taskDecl) waitsFor(other *taskDecl, seen map[*taskDecl]bool) bool {
	seen[t] = true
	for _, e := range t.upstream {
		if e.from == other || e.from != nil && !seen[e.from] && e.from.waitsFor(other, seen) {
			return true
		}
	}
	return false
}

// checkWriters warns of two tasks of one pipeline that write the same table, of which one erases what the other wrote.
func (l *loader) checkWriters(d *pipelineDecl) {
	first := map[string]*taskDecl{}
	for _, t := range d.tasks {
		target := t.task.Target()
		if target == nil || target.Into == "" {
			continue
		}
		key := tableKey(target.Into)
		before := first[key]
		if before == nil {
			first[key] = t
			continue
		}
		eraser := before
		if target.Mode == pipeline.Replace {
			eraser = t
		}
		if eraser.task.Target().Mode != pipeline.Replace {
			continue
		}
		what := "the whole table"
		if eraser.task.Target().PartitionBy != "" {
			what = "all rows of the data interval"
		}
		l.warn(t.pos("into"), "Two tasks write one table", `Write two tables, or let both add rows with mode = "append" or "merge".`,
			"Tasks %s (%s) and %s both write %s, and %s replaces %s.", before.task.Name, before.task.At, t.task.Name, target.Into, eraser.task.Name, what)
	}
}

// resolveOrder turns the declared order into names, finds cycles, and puts the tasks into a topological order.
func (l *loader) resolveOrder(d *pipelineDecl) {
	byName := map[string]*taskDecl{}
	for _, t := range d.tasks {
		byName[t.task.Name] = t
	}
	l.expandGroups(d, byName)
	for _, t := range d.tasks {
		l.resolveUpstream(d, t, byName)
	}
	l.sortTasks(d)
}

func (l *loader) resolveUpstream(d *pipelineDecl, t *taskDecl, byName map[string]*taskDecl) {
	kept := t.upstream[:0]
	names := map[string]bool{}
	for _, e := range t.upstream {
		if e.from != nil {
			e.name = e.from.task.Name
		}
		e.from = byName[e.name] // of two tasks with one name the first counts
		if e.from == nil {
			all := make([]string, 0, len(d.tasks))
			for _, other := range d.tasks {
				all = append(all, other.task.Name)
			}
			for _, g := range d.groups {
				all = append(all, g.path)
			}
			fix := diag.DidYouMean(e.name, all)
			if fix == "" {
				fix = "Name a task or group of the same pipeline: " + listNames(all) + "."
			}
			l.errorf(e.at, "Unknown task", fix, "Task %s runs after %q, which pipeline %s does not have.", t.task.Name, e.name, d.pipeline.Name)
			continue
		}
		if !names[e.name] {
			names[e.name] = true
			kept = append(kept, e)
			t.task.Upstream = append(t.task.Upstream, e.name)
		}
	}
	t.upstream = kept
	sort.Strings(t.task.Upstream)
}

// sortTasks orders the tasks: each comes after what it waits for, and of those free to swap the one declared first.
func (l *loader) sortTasks(d *pipelineDecl) {
	done := map[*taskDecl]bool{}
	open := append([]*taskDecl(nil), d.tasks...)
	ordered := make([]*taskDecl, 0, len(open))
	waiting := map[*taskDecl]int{}
	after := map[*taskDecl][]*taskDecl{}
	place := map[*taskDecl]int{}
	for i, t := range open {
		place[t] = i
		waiting[t] = len(t.upstream)
		for _, e := range t.upstream {
			after[e.from] = append(after[e.from], t)
		}
	}
	var ready []int // places, a sorted list: pipelines are small
	for i, t := range open {
		if waiting[t] == 0 {
			ready = append(ready, i)
		}
	}
	for len(ready) > 0 {
		t := open[ready[0]]
		ready = ready[1:]
		ordered = append(ordered, t)
		done[t] = true
		for _, next := range after[t] {
			if waiting[next]--; waiting[next] == 0 {
				at := sort.SearchInts(ready, place[next])
				ready = slices.Insert(ready, at, place[next])
			}
		}
	}
	for _, t := range open {
		if !done[t] {
			ordered = append(ordered, t)
		}
	}
	if len(done) < len(open) {
		l.cycle(open, done)
	}
	d.tasks = ordered
	for _, t := range ordered {
		d.pipeline.Tasks = append(d.pipeline.Tasks, t.task)
	}
}

// cycle reports one finding for each circle among the tasks that could not be ordered.
func (l *loader) cycle(tasks []*taskDecl, done map[*taskDecl]bool) {
	for _, t := range tasks {
		if done[t] {
			continue
		}
		trail := t.circle(done)
		if trail == nil {
			continue // it only waits for a circle
		}
		var names, places []string
		for i, e := range trail {
			next := trail[(i+1)%len(trail)].from.task.Name
			done[e.from] = true
			names = append(names, e.from.task.Name)
			places = append(places, fmt.Sprintf("%s: %s >> %s", e.at, e.from.task.Name, next))
		}
		names = append(names, names[0])
		l.errorf(trail[len(trail)-1].at, "Tasks wait for each other in a circle", "Remove one of these orders.",
			"%s\n%s", strings.Join(names, " → "), strings.Join(places, "\n"))
	}
}

// circle gives the shortest way from t along the order back to t, as the edges on it, or nil.
func (t *taskDecl) circle(done map[*taskDecl]bool) []edge {
	type step struct {
		next *taskDecl
		edge edge
	}
	came := map[*taskDecl]step{}
	queue := []*taskDecl{t}
	for len(queue) > 0 && came[t].next == nil {
		at := queue[0]
		queue = queue[1:]
		for _, e := range at.upstream {
			if _, seen := came[e.from]; !seen && !done[e.from] {
				came[e.from] = step{next: at, edge: e}
				queue = append(queue, e.from)
			}
		}
	}
	if came[t].next == nil {
		return nil
	}
	trail := []edge{came[t].edge}
	for node := came[t].next; node != t; node = came[node].next {
		trail = append(trail, came[node].edge)
	}
	return trail
}
