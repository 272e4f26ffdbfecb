package declare

import (
	"fmt"
	"math"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"damson/internal/diag"
	"damson/internal/model"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/sqltext"
)

// task begins reading p.sql(…) and its like: what all kinds of tasks share.
func (e *evaluation) task(t *starlark.Thread, b *starlark.Builtin, kind pipeline.Kind, args starlark.Tuple, kwargs []starlark.Tuple) (*call, *Task, error) {
	decl, group := b.Receiver().(holder).holds()
	if decl.frozen {
		return nil, nil, fmt.Errorf("pipeline %s belongs to another file: its tasks are declared there, or by a function that file calls",
			decl.Pipeline.Name)
	}
	if e.tasks++; e.tasks > e.bounds.tasks {
		return nil, nil, fmt.Errorf("the project declares more than %d tasks", e.bounds.tasks)
	}
	c := e.newCall(t, string(kind), args, kwargs, "name")
	task := &pipeline.Task{Kind: kind, At: c.at}
	task.Name = c.plainName("name", "clean_orders")
	d := c.taskDefaults(decl.defaults)
	task.Retries, task.RetryDelay, task.RetryBackoff, task.MaxRetryDelay = d.Retries, d.RetryDelay, d.RetryBackoff, d.MaxRetryDelay
	task.Timeout, task.DependsOnPast, task.Priority = d.Timeout, d.DependsOnPast || d.WaitForDownstream, d.Priority
	task.WaitForDownstream = d.WaitForDownstream
	c.pool(task, d)
	task.TriggerRule = c.choice("trigger_rule", string(run.AllSuccess), run.TriggerRules())
	td := &Task{Task: task, Pipeline: decl, Group: group, At: c.positions()}
	if group != nil {
		task.Group = group.Path
	}
	c.upstream("upstream", td)
	return c, td, nil
}

// pool gives the task its slots of a pool.
func (c *call) pool(task *pipeline.Task, d TaskDefaults) {
	switch task.Pool = d.Pool; {
	case d.Pool != "":
		task.PoolSlots = d.PoolSlots
	case c.has("pool_slots"):
		c.report(c.place("pool_slots"), "Slots without a pool", `Add pool = "db", or remove pool_slots.`, "Task %s takes slots, but is in no pool.", task.Name)
	}
}

// add ends reading: the task belongs to its pipeline.
func (e *evaluation) add(c *call, td *Task) (starlark.Value, error) {
	c.finish()
	td.Pipeline.Tasks = append(td.Pipeline.Tasks, td)
	return &taskValue{decl: td, e: e}, nil
}

// upstream reads tasks, groups, or names of them, that stand before the task.
func (c *call) upstream(key string, td *Task) {
	v := c.value(key)
	if v == nil {
		return
	}
	items, ok := sequence(v)
	if !ok {
		items = []starlark.Value{v}
	}
	for _, item := range items {
		switch item := item.(type) {
		case *taskValue:
			td.Upstream = append(td.Upstream, Edge{From: item.decl, At: c.place(key)})
		case *groupValue:
			c.e.link(endpoint{group: item.decl}, endpoint{task: td}, c.place(key))
		case starlark.String:
			td.Upstream = append(td.Upstream, Edge{Name: string(item), At: c.place(key)})
		default:
			c.wrong(key, "a task, a group, the name of one, or a list of them", item, `["clean_orders"]`)
		}
	}
}

// sqlTask is p.sql(…).
func (e *evaluation) sqlTask(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c, td, err := e.task(t, b, pipeline.SQLTask, args, kwargs)
	if err != nil {
		return nil, err
	}
	td.Task.SQL = &pipeline.SQL{File: c.text("file", "", "sql/clean_orders.sql")}
	td.Task.Batch = c.boolean("batch", false)
	td.Task.SQL.Loose = c.choice("transaction", "task", []string{"task", "none"}) == "none"
	into := c.text("into", "", "shop.orders")
	if td.Task.SQL.Loose && into != "" {
		c.report(c.place("transaction"), "A table needs the transaction", "Remove transaction, or remove into and write a script.",
			"Task %s writes into %s, which is one transaction always.", td.Task.Name, into)
	}
	target := c.target(into, td.Task.Name)
	if into != "" {
		td.Task.SQL.Target = &target
	} else {
		c.needsInto(target)
	}
	c.checkBatch(td.Task)
	return e.add(c, td)
}

// target reads how rows come into a table.
func (c *call) target(into, task string) pipeline.Target {
	modes := []string{string(pipeline.Replace), string(pipeline.Append), string(pipeline.Merge)}
	tg := pipeline.Target{Into: into}
	tg.PartitionBy = c.column("partition_by", "order_date", false)
	tg.Mode = pipeline.Mode(c.choice("mode", string(pipeline.Replace), modes))
	tg.Keys = c.columns("keys", `["order_id"]`)
	tg.NewColumns = c.boolean("new_columns", false)
	tg.Storage = c.storage()
	tg.Storage.Native = c.native(tg.PartitionBy)
	if into == "" {
		return tg
	}
	c.checkTable("into", into)
	switch {
	case tg.Mode == pipeline.Merge && len(tg.Keys) == 0 && !c.has("keys"):
		c.report(c.place("mode"), "Merge without keys", `Add keys = ["id"], the columns that tell rows apart.`,
			"Task %s merges into %s, but nothing says which rows are the same.", task, into)
	case tg.Mode != pipeline.Merge && len(tg.Keys) > 0:
		c.report(c.place("keys"), "Keys without merge", `Add mode = "merge", or remove keys.`,
			"Task %s has keys, which only the mode merge reads; its mode is %s.", task, tg.Mode)
	}
	return tg
}

// storage reads how a table is stored that the task makes.
func (c *call) storage() pipeline.Storage {
	formats := []string{"column", "row", "heap"}
	s := pipeline.Storage{DistributedBy: c.texts("distributed_by", `["uid"]`), Indexes: c.indexes("indexes")}
	if c.has("storage") {
		s.Format = c.choice("storage", formats[0], formats)
	} else {
		c.known = append(c.known, "storage")
	}
	for _, name := range s.DistributedBy {
		if name != pipeline.Randomly {
			c.checkColumn("distributed_by", name)
		} else if len(s.DistributedBy) > 1 {
			c.report(c.place("distributed_by"), "Random and not random", `Write distributed_by = "randomly", or name columns only.`,
				"distributed_by names %q beside columns.", name)
		}
	}
	return s
}

// native reads whether the table has partitions of the database's own, and their size: True is a day.
func (c *call) native(partitionBy string) pipeline.Native {
	v := c.value("native")
	var size pipeline.Native
	switch v := v.(type) {
	case nil:
		return ""
	case starlark.Bool:
		if !v {
			return ""
		}
		size = pipeline.NativeDay
	case starlark.String:
		size = pipeline.Native(c.choice("native", string(pipeline.NativeDay), []string{string(pipeline.NativeDay), string(pipeline.NativeMonth)}))
	default:
		c.wrong("native", "True, \"day\" or \"month\"", v, "True")
		return ""
	}
	if partitionBy == "" && !c.badlyGiven("partition_by") {
		c.report(c.place("native"), "Partitions of what?", "Add partition_by = \"…\", a column of dates or timestamps, or remove native.",
			"native asks for partitions, and no column says which row belongs to which.")
	}
	return size
}

// indexes reads a list whose items are a column or a list of columns.
func (c *call) indexes(key string) [][]string {
	const want, example = "a list of columns, or of lists of columns", `["id", ["uid", "tdate"]]`
	v := c.value(key)
	if v == nil {
		return nil
	}
	items, ok := sequence(v)
	if !ok {
		items = []starlark.Value{v}
	}
	var all [][]string
	for _, item := range items {
		names, ok := sequence(item)
		if !ok {
			names = []starlark.Value{item}
		}
		var columns []string
		for _, name := range names {
			text, isText := starlark.AsString(name)
			if !isText {
				c.wrong(key, want, name, example)
				return nil
			}
			c.checkColumn(key, text)
			columns = append(columns, text)
		}
		if len(columns) > 0 {
			all = append(all, columns)
		}
	}
	return all
}

// needsInto reports what makes no sense for a task that writes no table.
func (c *call) needsInto(tg pipeline.Target) {
	for _, key := range []string{"partition_by", "mode", "keys", "new_columns", "native", "distributed_by", "indexes", "storage"} {
		if c.has(key) {
			c.report(c.place(key), "Nothing to write into", fmt.Sprintf(`Add into = "schema.table", or remove %s.`, key),
				"%s says how rows come into a table, but the task has no into.", key)
		}
	}
}

// checkTable judges the name of a table that a task writes.
func (c *call) checkTable(key, table string) {
	schema, name, err := sqltext.ParseName(table)
	switch {
	case err != nil:
		c.report(c.place(key), "Not a table", `Write schema.table, for example "shop.orders".`, "%s.", err)
	case schema == "":
		c.report(c.place(key), "Table without schema", fmt.Sprintf("Write schema.table, for example %q.", "analytics."+name),
			"%s of %s is %q, which names no schema.", key, c.name, table)
	case schema == "damson":
		c.report(c.place(key), "Reserved schema", "Take a schema of your own.", "%s is %q; the schema damson holds Damson's own tables.", key, table)
	case len(schema) > 63 || len(name) > 63:
		c.report(c.place(key), "Name too long", "Shorten it to 63 bytes a part.", "%s is %q.", key, table)
	}
}

// checkBatch judges what can be judged of batch without the SQL file.
func (c *call) checkBatch(t *pipeline.Task) {
	if tg := t.Target(); t.Batch && t.Kind != pipeline.LoadTask && tg != nil && tg.Mode == pipeline.Replace && tg.PartitionBy == "" {
		c.report(c.place("batch"), "Batch without partition", "Add partition_by, or remove batch.",
			"Task %s replaces the whole of %s, so several data intervals at once would leave only the last.", t.Name, tg.Into)
	}
}

// dataFormats are the formats a load reads, and the file endings that tell them.
var (
	dataFormats = []string{"csv", "tsv", "json", "parquet", "plt"}
	endings     = map[string]string{".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".json": "json", ".jsonl": "json", ".ndjson": "json",
		".parquet": "parquet", ".plt": "plt"}
	columnTypes = []string{"text", "bigint", "double", "boolean", "date", "time", "timestamp"}
)

// loadTask is p.load(…).
func (e *evaluation) loadTask(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c, td, err := e.task(t, b, pipeline.LoadTask, args, kwargs)
	if err != nil {
		return nil, err
	}
	l := &pipeline.Load{}
	td.Task.Load = l
	if l.Files = c.texts("files", `"data/*.csv"`); len(l.Files) == 0 && !c.badList("files") {
		c.report(c.at, "Missing argument", `Add files = "data/*.csv", for example.`, "load needs files.")
	}
	l.Format = c.format(l.Files)
	if l.Into = c.required("into", "shop.orders"); l.Into != "" {
		c.checkTable("into", l.Into)
	}
	l.Columns = c.loadColumns("columns")
	l.Root = c.text("root", "", "{{ var.value.data_dir }}")
	l.FilenameColumn = c.column("filename_column", "file", false)
	l.LineColumn = c.column("line_column", "line", false)
	l.FilenameFields = c.text("filename_fields", "", `(?P<shop>[^/]+)/`)
	l.Header = c.boolean("header", (l.Format == "csv" || l.Format == "tsv") && len(l.Columns) == 0)
	l.SkipLines = c.whole("skip_lines", 0, 0, math.MaxInt32)
	l.Delimiter = c.text("delimiter", "", ";")
	l.Nulls = c.texts("nulls", `["", "NA"]`)
	l.MaxRejects = c.whole("max_rejects", -1, -1, math.MaxInt32)
	l.Storage = c.storage()
	td.Task.Batch = c.boolean("batch", false)
	c.checkLoad(l)
	return e.add(c, td)
}

// format reads the format, or takes it from the ending of the files.
func (c *call) format(files []string) string {
	if c.has("format") {
		return c.choice("format", dataFormats[0], dataFormats)
	}
	c.known = append(c.known, "format")
	format := ""
	for _, glob := range files {
		name := strings.ToLower(glob)
		for _, packed := range []string{".gz", ".zst"} {
			name = strings.TrimSuffix(name, packed)
		}
		if format = endings[path.Ext(name)]; format != "" {
			return format
		}
	}
	if len(files) > 0 {
		c.report(c.place("files"), "Unknown format", fmt.Sprintf("Add format = %q; there are %s.", dataFormats[0], strings.Join(dataFormats, ", ")),
			"The ending of %q does not tell the format.", files[0])
	}
	return dataFormats[0]
}

// loadColumns reads {"name": "type"}.
func (c *call) loadColumns(key string) []pipeline.Column {
	v := c.value(key)
	if v == nil {
		return nil
	}
	dict, ok := v.(*starlark.Dict)
	if !ok {
		c.wrong(key, "a dict of columns and their types", v, `{"id": "bigint", "name": "text"}`)
		return nil
	}
	var columns []pipeline.Column
	for _, item := range dict.Items() {
		name, isText := starlark.AsString(item[0])
		kind, kindIsText := starlark.AsString(item[1])
		if !isText || !kindIsText {
			c.wrong(key, "a dict of columns and their types", item[1], `{"id": "bigint", "name": "text"}`)
			continue
		}
		c.checkColumn(key, name)
		if !slices.Contains(columnTypes, kind) {
			fix := diag.DidYouMean(kind, columnTypes)
			if fix == "" {
				fix = "Take one of: " + strings.Join(columnTypes, ", ") + "."
			}
			c.report(c.place(key), "Unknown column type", fix, "Column %s has the type %q.", name, kind)
			continue
		}
		columns = append(columns, pipeline.Column{Name: name, Type: kind})
	}
	return columns
}

// checkLoad judges the parts of a load against each other.
func (c *call) checkLoad(l *pipeline.Load) {
	names := map[string]string{}
	taken := func(key, name, what string) {
		folded := strings.ToLower(name)
		if before, again := names[folded]; again {
			c.report(c.place(key), "One column twice", "Rename one of them.", "%s is %s and %s.", name, before, what)
		}
		names[folded] = what
	}
	for _, column := range l.Columns {
		taken("columns", column.Name, "a column of the file")
	}
	if l.FilenameColumn != "" {
		taken("filename_column", l.FilenameColumn, "the file's name")
	}
	if l.LineColumn != "" {
		taken("line_column", l.LineColumn, "the line's number")
	}
	if l.FilenameFields != "" {
		re, err := regexp.Compile(l.FilenameFields)
		fields := 0
		if err == nil {
			for _, name := range re.SubexpNames() {
				if name != "" {
					taken("filename_fields", name, "a part of the file's path")
					fields++
				}
			}
		}
		switch {
		case err != nil:
			c.report(c.place("filename_fields"), "Not a regular expression", "Write Go's syntax: https://pkg.go.dev/regexp/syntax.", "filename_fields: %s.", err)
		case fields == 0:
			c.report(c.place("filename_fields"), "No named group", `Name the parts to keep, for example (?P<shop>[^/]+).`, "filename_fields is %q, which names nothing.", l.FilenameFields)
		}
	}
	if l.Delimiter != "" && len([]rune(l.Delimiter)) != 1 {
		c.report(c.place("delimiter"), "Not a delimiter", `Write one character, for example ";" or "\t".`, "delimiter is %q.", l.Delimiter)
	}
}

// trainTask is p.train(…).
func (e *evaluation) trainTask(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c, td, err := e.task(t, b, pipeline.TrainTask, args, kwargs)
	if err != nil {
		return nil, err
	}
	td.Task.Train = &pipeline.Train{Model: c.model("model"), Source: c.required("source", "customer_features")}
	if r, ok := c.part("retrain", "retrain"); ok {
		retrain := r.(pipeline.Retrain)
		td.Task.Train.Retrain = &retrain
	}
	return e.add(c, td)
}

// scoreTask is p.score(…).
func (e *evaluation) scoreTask(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c, td, err := e.task(t, b, pipeline.ScoreTask, args, kwargs)
	if err != nil {
		return nil, err
	}
	s := &pipeline.Score{Model: c.model("model"), Source: c.required("source", "customer_features")}
	td.Task.Score = s
	s.Version = c.version("version")
	s.Keep = c.columns("keep", `["customer"]`)
	s.Target = c.target(c.required("into", "shop.churn_prediction"), td.Task.Name)
	td.Task.Batch = c.boolean("batch", false)
	c.checkBatch(td.Task)
	return e.add(c, td)
}

// model reads a model, or its name.
func (c *call) model(key string) string {
	v := c.value(key)
	switch v := v.(type) {
	case *modelValue:
		return v.model.Name
	case starlark.String:
		return string(v)
	case nil:
		c.report(c.at, "Missing argument", "Add model = the model, or its name.", "%s needs model.", c.name)
	default:
		c.wrong(key, "a model or its name", v, `"churn"`)
	}
	return ""
}

// version reads by which version to score: a number or an alias, "" for the champion.
func (c *call) version(key string) string {
	v := c.value(key)
	var text string
	switch v := v.(type) {
	case nil:
		return ""
	case starlark.Int:
		text = v.String()
	case starlark.String:
		text = string(v)
	default:
		c.wrong(key, "an alias or a number", v, `"challenger"`)
		return ""
	}
	ref, err := model.ParseReference(text)
	if err != nil {
		f := diag.AsFinding("Not a version", err)
		c.report(c.place(key), "Not a version", `Write an alias, such as "challenger", or a number, such as 3.`, "version of %s: %s", c.name, f.Detail)
		return ""
	}
	if ref == (model.Reference{}) {
		return ""
	}
	return ref.String()
}
