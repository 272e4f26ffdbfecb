package project

import (
	"fmt"
	"path"
	"strings"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/project/declare"
	"damson/internal/project/source"
	"damson/internal/sqltext"
)

// resolveFiles finds the files that tasks name: SQL, and programs.
func (l *loader) resolveFiles(d *declare.Pipeline) {
	for _, t := range d.Tasks {
		task := t.Task
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
func has(t *declare.Task, key string) bool {
	_, ok := t.At[key]
	return ok
}

// taskFile finds the SQL file of a task: the one it names, else by its own name.
func (l *loader) taskFile(d *declare.Pipeline, t *declare.Task, file string) string {
	if file == "" {
		file = l.fileOf(d.Pipeline.Name, t.Task.Name)
	}
	return l.sqlFile(t, "file", file)
}

// resolveProgram finds the program of a python or shell task: the file it names, else by its own name.
func (l *loader) resolveProgram(d *declare.Pipeline, t *declare.Task) {
	p := t.Task.Process
	folder, ending := source.PythonFolder, ".py"
	if t.Task.Kind == pipeline.ShellTask {
		folder, ending = source.ShellFolder, ".sh"
	}
	if p.File == "" {
		p.File = folder + "/" + d.Pipeline.Name + "/" + t.Task.Name + ending
		if l.programs[p.File] == nil && !l.tree.Broken[p.File] {
			p.File = folder + "/" + t.Task.Name + ending
		}
	}
	p.File = path.Clean(strings.ReplaceAll(p.File, `\`, "/"))
	f := l.programs[p.File]
	switch {
	case l.tree.Broken[p.File] || t.Task.Name == "" && !has(t, "file"):
	case !strings.HasPrefix(p.File, folder+"/"):
		l.errorf(t.Pos("file"), "Program elsewhere", fmt.Sprintf("Put it under %s/, so that it counts as a part of the project.", folder),
			"Task %s runs %s, which is not under %s/.", t.Task.Name, p.File, folder)
	case f == nil:
		fix := fmt.Sprintf("Write %s.", p.File)
		if near := source.Near(p.File, l.tree.Programs); near != "" && strings.HasPrefix(near, folder+"/") {
			fix = fmt.Sprintf("Did you mean %q?", near)
		}
		l.errorf(t.Pos("file"), "Missing program", fix, "Task %s runs %s, which is not there.", t.Task.Name, p.File)
	case strings.TrimSpace(f.Text) == "":
		l.once(diag.Finding{At: diag.Pos{File: f.Path, Line: 1, Col: 1}, Severity: diag.Error, Summary: "Empty program",
			Detail: fmt.Sprintf("%s has nothing to run.", f.Path), Fix: "Write the program, or delete the file and its task."})
	case folder == source.ShellFolder && strings.Contains(f.Text, "\r\n"):
		l.once(diag.Finding{At: diag.Pos{File: f.Path, Line: 1 + strings.Count(f.Text[:strings.Index(f.Text, "\r\n")], "\n")}, Severity: diag.Error,
			Summary: "Windows line ends in a shell script", Fix: "Save it with line ends of \\n.",
			Detail: fmt.Sprintf("sh would take the carriage return at the end of each line of %s for a part of the command.", f.Path)})
	}
}

// fileOf gives sql/<pipeline>/<name>.sql when it is there, else sql/<name>.sql.
func (l *loader) fileOf(pipeline, name string) string {
	own := "sql/" + pipeline + "/" + name + ".sql"
	if l.templates.files[own] != nil || l.tree.Broken[own] {
		return own
	}
	return "sql/" + name + ".sql"
}

// sqlFile looks a file up and reports it when it is not there.
func (l *loader) sqlFile(t *declare.Task, key, file string) string {
	clean := path.Clean(strings.ReplaceAll(file, `\`, "/"))
	if l.templates.files[clean] != nil || l.tree.Broken[clean] {
		return clean
	}
	if t.Task.Name == "" && key == "file" && t.At["file"] == (diag.Pos{}) {
		return clean // a task without name is a finding already
	}
	fix := fmt.Sprintf("Write %s.", clean)
	if near := source.Near(clean, l.tree.SQL); near != "" {
		fix = fmt.Sprintf("Did you mean %q?", near)
	}
	l.errorf(t.Pos(key), "Missing SQL file", fix, "Task %s runs %s, which is not there.", t.Task.Name, clean)
	return clean
}

// writer is a task with the table it writes.
type writer struct {
	task  *declare.Task
	table string
}

// writers lists all tasks of the project that write a table.
func (l *loader) writers() []writer {
	var ws []writer
	for _, d := range l.pipelines {
		for _, t := range d.Tasks {
			if into := t.Task.Into(); into != "" {
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
func (l *loader) resolveModels(d *declare.Pipeline) {
	for _, t := range d.Tasks {
		name := t.Task.ModelName()
		if known := l.models[name]; known != nil {
			l.checkRetrain(t, known)
		}
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
		l.errorf(t.Pos("model"), "Unknown model", fix, "Task %s uses the model %q, which no file declares.", t.Task.Name, name)
	}
}

// checkRetrain refuses to wait for labels of what predicts none.
func (l *loader) checkRetrain(t *declare.Task, m *pipeline.Model) {
	if m.KMeans != nil && t.Task.Train != nil && t.Task.Train.Retrain != nil && t.Task.Train.Retrain.When != "" {
		l.errorf(t.Pos("retrain"), "No labels to come", "Take retrain(new_rows = 1000), which counts rows.",
			"Task %s trains model %s when past predictions fail against labels; a %s predicts no label.", t.Task.Name, m.Name, m.Algorithm.Name())
	}
}

// resolveSources finds what train, score and features tasks and the inputs of programs read, in this order: a SQL file of that name
// that no sql task runs; the table of a task of that name, in the same pipeline or else the only one in the project; a
// table schema.table.
func (l *loader) resolveSources(d *declare.Pipeline, all []writer) {
	for _, t := range d.Tasks {
		if source := t.Task.Source(); source != "" {
			name, file := l.resolveSource(d, t, "source", source, all)
			setSource(t.Task, name, file)
		}
		if t.Task.Process == nil {
			continue
		}
		for i := range t.Task.Process.Inputs {
			in := &t.Task.Process.Inputs[i]
			if in.Table, in.File = l.resolveSource(d, t, "inputs", in.Table, all); in.File != "" {
				in.Table = ""
			}
		}
	}
}

// resolveSource gives the table, or the name of the SQL file and its path. What is neither becomes a finding at the
// argument key.
func (l *loader) resolveSource(d *declare.Pipeline, t *declare.Task, key, source string, all []writer) (name, file string) {
	if file := l.templates.files[l.nameOrFile(d, source)]; file != nil && !file.asTask {
		return strings.TrimSuffix(path.Base(source), ".sql"), file.Path
	}
	if w := l.writerNamed(d, source, all); w != nil {
		l.checkOrder(t, w, key)
		return w.Task.Into(), ""
	}
	if !l.sourceTable(d, t, key, source, all) {
		l.unknownSource(t, key, source, all)
	}
	return source, ""
}

func setSource(t *pipeline.Task, name, file string) {
	switch {
	case t.Train != nil:
		t.Train.Source, t.Train.File = name, file
	case t.Score != nil:
		t.Score.Source, t.Score.File = name, file
	case t.Features != nil:
		t.Features.Source, t.Features.File = name, file
	}
}

// writerNamed gives the task of that name that writes a table.
func (l *loader) writerNamed(d *declare.Pipeline, name string, all []writer) *declare.Task {
	for _, t := range d.Tasks {
		if t.Task.Name == name && t.Task.Into() != "" {
			return t
		}
	}
	var only *declare.Task
	for _, w := range all {
		if w.task.Task.Name != name {
			continue
		}
		if only != nil && only.Task.Into() != w.task.Task.Into() {
			return nil // two pipelines have such a task; the table must be named
		}
		only = w.task
	}
	return only
}

// sourceTable reads the source as a table, and reports whether it is one.
func (l *loader) sourceTable(d *declare.Pipeline, t *declare.Task, key, source string, all []writer) bool {
	schema, _, err := sqltext.ParseName(source)
	if err != nil || schema == "" {
		return false
	}
	table := tableKey(source)
	for _, w := range all {
		if w.table == table && w.task.Pipeline == d && w.task != t {
			l.checkOrder(t, w.task, key)
		}
	}
	return true
}

func (l *loader) unknownSource(t *declare.Task, key, source string, all []writer) {
	var names []string
	for _, f := range l.tree.SQL {
		if file := l.templates.files[f.Path]; file != nil && !file.asTask {
			names = append(names, strings.TrimSuffix(path.Base(f.Path), ".sql"))
		}
	}
	for _, w := range all {
		names = append(names, w.task.Task.Name)
	}
	for _, w := range all {
		names = append(names, w.task.Task.Into())
	}
	fix := diag.DidYouMean(source, names)
	if fix == "" {
		fix = `Write a table as schema.table, or the name of a SQL file or of a task that writes a table.`
	}
	l.errorf(t.Pos(key), "Unknown source", fix, "Task %s reads %q, which is neither a table schema.table, nor a file sql/%s.sql, nor a task with into.",
		t.Task.Name, source, strings.TrimSuffix(source, ".sql"))
}

// checkOrder warns when reader may run before the task that makes its rows.
func (l *loader) checkOrder(reader, maker *declare.Task, key string) {
	if reader.Pipeline != maker.Pipeline || reader == maker || reader.WaitsFor(maker, map[*declare.Task]bool{}) {
		return
	}
	l.warn(reader.Pos(key), "No order between a table's writer and its reader", fmt.Sprintf("Add %s >> %s.", maker.Task.Name, reader.Task.Name),
		"Task %s reads %s, which task %s writes, but does not wait for it.", reader.Task.Name, maker.Task.Into(), maker.Task.Name)
}

// checkWriters warns of two tasks of one pipeline that write the same table, of which one erases what the other wrote.
func (l *loader) checkWriters(d *declare.Pipeline) {
	first := map[string]*declare.Task{}
	for _, t := range d.Tasks {
		target := t.Task.Target()
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
		if eraser.Task.Target().Mode != pipeline.Replace {
			continue
		}
		what := "the whole table"
		if eraser.Task.Target().PartitionBy != "" {
			what = "all rows of the data interval"
		}
		l.warn(t.Pos("into"), "Two tasks write one table", `Write two tables, or let both add rows with mode = "append" or "merge".`,
			"Tasks %s (%s) and %s both write %s, and %s replaces %s.", before.Task.Name, before.Task.At, t.Task.Name, target.Into, eraser.Task.Name, what)
	}
}
