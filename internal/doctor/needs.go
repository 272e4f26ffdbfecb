package doctor

import (
	"maps"
	"slices"
	"strings"
	"time"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/project"
	"damson/internal/schedule"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/extension"
)

// Table is a table's name as the database has it; without a schema it is in the first one of the search path.
type Table struct{ Schema, Name string }

// String gives the name as SQL.
func (t Table) String() string {
	if t.Schema == "" {
		return ident(t.Name)
	}
	return ident(t.Schema) + "." + ident(t.Name)
}

func tableOf(name string) Table {
	schema, table, err := sqltext.ParseName(name)
	if err != nil {
		return Table{Name: name} // validation has said so
	}
	return Table{schema, table}
}

// Needs are what a project wants of its warehouse, as far as its files tell.
type Needs struct {
	Writes  map[Table]Writer // tables that tasks write, and Damson's own
	Reads   map[Table]Reader // tables that tasks read and none writes
	Uses    []Use            // of what an extension brings, the first place of each
	Native  []NativeTable    // by name
	Python  []string         // tasks that run Python
	ToClock bool             // a pipeline runs by a schedule
}

// Writer is who writes a table.
type Writer struct {
	Task   string   // PIPELINE.TASK; the latest by name of several
	At     diag.Pos // of its declaration
	Native bool     // it exchanges partitions, which only the table's owner may
	Target pipeline.Target
}

// Reader is the first place that reads a table.
type Reader struct {
	Task string // "" = a SQL file
	At   diag.Pos
	Sure bool // a declaration names it; the words of a SQL file may mean something else
}

// Use is a place that needs an extension or a language.
type Use struct {
	Extension string // "" for a language
	Language  string
	Function  string // that the extension brings; "" when it is a type
	Type      string
	Creates   bool // the place itself makes the extension
	At        diag.Pos
	Maybe     bool // the file decides by templates what of it runs
}

// NativeTable is a table that a task wants cut by the database itself.
type NativeTable struct {
	Table
	Task     string
	At       diag.Pos
	Column   string
	Size     pipeline.Native
	Interval warehouse.Interval // the next one that is due
}

// NewNeeds reads them from a project; now decides which data intervals come next.
func NewNeeds(p *project.Project, now time.Time) Needs {
	n := Needs{Writes: map[Table]Writer{}, Reads: map[Table]Reader{}}
	for _, pl := range p.Pipelines {
		n.ToClock = n.ToClock || pl.Schedule != ""
		for _, t := range pl.Tasks {
			n.addTask(pl, t, now)
		}
	}
	files := p.SQLFiles()
	made := map[Table]bool{}
	for _, f := range files {
		n.scan(f, made)
	}
	for _, f := range files {
		for _, r := range f.Reads {
			n.read(tableOf(r.Table), Reader{At: r.At})
		}
	}
	for t := range n.Reads {
		if _, written := n.Writes[t]; written || made[t] {
			delete(n.Reads, t)
		}
	}
	slices.SortFunc(n.Native, func(a, b NativeTable) int { return strings.Compare(a.String(), b.String()) })
	own := []string{warehouse.Ledger, warehouse.Rejects}
	if len(p.Migrations) > 0 {
		own = append(own, "damson.migrations", "damson.migrations_lock")
	}
	for _, name := range own {
		n.Writes[tableOf(name)] = Writer{}
	}
	return n
}

func (n *Needs) read(t Table, r Reader) {
	if before, there := n.Reads[t]; !there || r.Sure && !before.Sure {
		n.Reads[t] = r
	}
}

func (n *Needs) addTask(pl *pipeline.Pipeline, t *pipeline.Task, now time.Time) {
	name := pl.Name + "." + t.Name
	if t.Kind == pipeline.PythonTask {
		n.Python = append(n.Python, name)
	}
	if target := t.Target(); target != nil {
		w := Writer{Task: name, At: t.At, Native: target.Storage.Native != "" && target.PartitionBy != "", Target: *target}
		n.Writes[tableOf(target.Into)] = w
		if interval, ok := nextInterval(pl, now); ok && w.Native {
			n.Native = append(n.Native, NativeTable{Table: tableOf(target.Into), Task: name, At: t.At, Column: target.PartitionBy,
				Size: target.Storage.Native, Interval: interval})
		}
	}
	if t.Source() != "" && t.File() == "" {
		n.read(tableOf(t.Source()), Reader{Task: name, At: t.At, Sure: true})
	}
	if t.Process != nil {
		for _, in := range t.Process.Inputs {
			if in.Table != "" {
				n.read(tableOf(in.Table), Reader{Task: name, At: t.At, Sure: true})
			}
		}
	}
}

// nextInterval is the data interval that comes next: the one that now lies in, or the pipeline's last.
func nextInterval(pl *pipeline.Pipeline, now time.Time) (warehouse.Interval, bool) {
	s, err := schedule.Parse(pl.Schedule, pl.Timezone)
	if err != nil {
		return warehouse.Interval{}, false
	}
	at := now
	if !pl.Start.IsZero() && at.Before(pl.Start) {
		at = pl.Start
	}
	if !pl.End.IsZero() && at.After(pl.End) {
		at = pl.End
	}
	start, end := s.IntervalOf(at)
	if start.Equal(end) { // by hand: a day
		day := at.In(s.Location())
		start = time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, s.Location())
		end = start.AddDate(0, 0, 1)
	}
	return warehouse.Interval{Start: start.In(s.Location()), End: end.In(s.Location())}, true
}

// word is a token that means something, in lower case unless it is quoted.
type word struct {
	text string
	kind sqltext.Kind
	from int
}

func words(sql string) []word {
	var all []word
	for at := 0; at < len(sql); {
		tok := sqltext.Next(sql, at)
		at = tok.To
		if !tok.Significant() {
			continue
		}
		w := word{sql[tok.From:tok.To], tok.Kind, tok.From}
		switch {
		case w.kind == sqltext.Word:
			w.text = strings.ToLower(w.text)
		case (w.kind == sqltext.QuotedName || w.kind == sqltext.String) && len(w.text) > 2:
			w.text = w.text[1 : len(w.text)-1]
		}
		all = append(all, w)
	}
	return all
}

// scan finds what a file uses of extensions and languages, and the tables and views that its statements make.
func (n *Needs) scan(f project.SQLFile, made map[Table]bool) {
	all := words(f.SQL)
	at := func(i int) string { // "" behind the end
		if i < 0 || i >= len(all) {
			return ""
		}
		return all[i].text
	}
	use := func(i int, u Use) {
		u.At, u.Maybe = f.Pos(all[i].from), f.Decides
		n.use(u)
	}
	for i, w := range all {
		switch {
		case w.kind == sqltext.Word && at(i+1) == "(" && at(i-1) == "." && at(i-2) == "madlib":
			use(i-2, Use{Extension: "madlib", Function: w.text})
		case w.kind == sqltext.Word && at(i+1) == "(" && extension.OfFunction(w.text) != "":
			use(i, Use{Extension: extension.OfFunction(w.text), Function: w.text})
		case w.kind == sqltext.Word && at(i-1) == ":" && at(i-2) == ":" && extension.OfType(w.text) != "":
			use(i, Use{Extension: extension.OfType(w.text), Type: w.text})
		case w.text == "language" && w.kind == sqltext.Word && strings.HasPrefix(at(i+1), "pl") && at(i+1) != "plpgsql":
			use(i, Use{Language: strings.ToLower(at(i + 1))})
		case w.text == "extension" && at(i-1) == "create":
			i = skipIfNotExists(at, i+1)
			if at(i) != "" {
				use(i, Use{Extension: at(i), Creates: true})
			}
		case (w.text == "table" || w.text == "view") && slices.Contains([]string{at(i - 1), at(i - 2), at(i - 3)}, "create"):
			i = skipIfNotExists(at, i+1)
			if at(i+1) == "." {
				made[Table{at(i), at(i + 2)}] = true
			}
		}
	}
}

func skipIfNotExists(at func(int) string, i int) int {
	if at(i) == "if" {
		return i + 3
	}
	return i
}

// use notes the first place of each function, type, language and statement that makes an extension; one that surely runs comes
// before one that only may.
func (n *Needs) use(u Use) {
	same := func(o Use) bool {
		return o.Extension == u.Extension && o.Language == u.Language && o.Function == u.Function && o.Type == u.Type && o.Creates == u.Creates
	}
	i := slices.IndexFunc(n.Uses, same)
	switch {
	case i < 0:
		n.Uses = append(n.Uses, u)
	case n.Uses[i].Maybe && !u.Maybe:
		n.Uses[i] = u
	}
}

// sortedTables lists tables by name.
func sortedTables[V any](m map[Table]V) []Table {
	return slices.SortedFunc(maps.Keys(m), func(a, b Table) int { return strings.Compare(a.String(), b.String()) })
}

// Schemas lists the schemas that are written into, by name.
func (n Needs) Schemas() []string {
	names := map[string]bool{}
	for t := range n.Writes {
		names[t.Schema] = true
	}
	return slices.Sorted(maps.Keys(names))
}
