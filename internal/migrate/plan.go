package migrate

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"damson/internal/diag"
)

// RowState is what a history says of one migration.
type RowState string

const (
	RowApplied  RowState = "applied"
	RowBaseline RowState = "baseline" // the database had it before it had a history
	RowStarted  RowState = "started"  // it runs without a transaction, and its end is not recorded
)

// Row is one migration in the history of a warehouse.
type Row struct {
	Version    int64
	Name, File string
	Checksum   string
	State      RowState
	Statements int // in the file
	Done       int // of them that have ended
	At         time.Time
	By         string
	Took       time.Duration
}

// State is how a migration stands in a warehouse.
type State string

const (
	Applied    State = "applied"
	Baseline   State = "baseline"
	Pending    State = "pending"
	OutOfOrder State = "out_of_order" // pending, and one with a higher number is applied
	Changed    State = "changed"      // applied from another text
	Missing    State = "missing"      // applied, and its file is not there
	HalfWay    State = "half_way"     // begun without a transaction and not ended
	Skipped    State = "skipped"      // it has no variant for this kind of warehouse
)

// InOrder reports whether nothing is left to do about the migration.
func (s State) InOrder() bool { return s == Applied || s == Baseline || s == Skipped }

// Entry is one migration of the project or of the history.
type Entry struct {
	Version int64
	Label   string
	Name    string
	File    string // the variant for this warehouse, else the file that the history names
	State   State
	Row     *Row     // nil: the history has it not
	Variant *Variant // nil: the project has it not, or not for this warehouse
}

// String is the entry as people name it: V001__add_speed.
func (e Entry) String() string { return e.Label + "__" + e.Name }

// Plan compares the project's migrations with the history of a warehouse of that kind. The entries are ordered by number.
func Plan(migrations []Migration, history []Row, kind string) []Entry {
	rows := map[int64]*Row{}
	highest := int64(-1)
	for i := range history {
		rows[history[i].Version] = &history[i]
		highest = max(highest, history[i].Version)
	}
	entries := make([]Entry, 0, len(migrations))
	for _, m := range migrations {
		e := Entry{Version: m.Version, Label: m.Label, Name: m.Name, Row: rows[m.Version]}
		delete(rows, m.Version)
		if v, ok := m.For(kind); ok {
			e.Variant, e.File = &v, v.File
		} else {
			e.File = m.Variants[0].File
		}
		e.State = stateOf(e, highest)
		entries = append(entries, e)
	}
	for _, row := range rows {
		label, _, _ := strings.Cut(path.Base(row.File), "__")
		e := Entry{Version: row.Version, Label: label, Name: row.Name, File: row.File, Row: row}
		e.State = stateOf(e, highest)
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Version, b.Version) })
	return entries
}

// stateOf judges one migration; highest is the highest number in the history.
func stateOf(e Entry, highest int64) State {
	switch {
	case e.Row == nil && e.Variant == nil:
		return Skipped
	case e.Row == nil && e.Version < highest:
		return OutOfOrder
	case e.Row == nil:
		return Pending
	case e.Row.State == RowStarted:
		return HalfWay
	case e.Variant == nil:
		return Missing
	case e.Variant.Checksum() != e.Row.Checksum:
		return Changed
	case e.Row.State == RowBaseline:
		return Baseline
	}
	return Applied
}

// Ahead gives the migrations to apply, the next one first: no further than number to (below 0: to the end).
func Ahead(entries []Entry, to int64) []Entry {
	var ahead []Entry
	for _, e := range entries {
		if (e.State == Pending || e.State == OutOfOrder) && (to < 0 || e.Version <= to) {
			ahead = append(ahead, e)
		}
	}
	return ahead
}

// Level is the name of the last migration that the warehouse has, "" when it has none.
func Level(entries []Entry) string {
	for _, e := range slices.Backward(entries) {
		if e.Row != nil {
			return e.Label
		}
	}
	return ""
}

// Refusals are the reasons why nothing may be applied.
func Refusals(entries []Entry, outOfOrder bool) diag.Findings {
	var findings diag.Findings
	for _, e := range entries {
		if !e.State.InOrder() && e.State != Pending && (e.State != OutOfOrder || !outOfOrder) {
			findings = append(findings, explain(e, entries))
		}
	}
	return findings
}

// Check finds whatever keeps the warehouse from having exactly the project's migrations.
func Check(entries []Entry) diag.Findings {
	var findings diag.Findings
	for _, e := range entries {
		if !e.State.InOrder() {
			findings = append(findings, explain(e, entries))
		}
	}
	return findings
}

// explain says what is the matter with a migration that is not in order, and what to do.
func explain(e Entry, entries []Entry) diag.Finding {
	f := diag.Finding{At: diag.Pos{File: e.File}, Severity: diag.Error}
	switch e.State {
	case Pending:
		f.Summary = "Pending migration"
		f.Detail = fmt.Sprintf("%s has not been applied.", e)
		f.Fix = "Apply it: damson migrate up"
	case OutOfOrder:
		f.Summary = "Migration out of order"
		f.Detail = fmt.Sprintf("%s has not been applied, and %s, which comes after it, has. Other databases get them in the other order.", e, Level(entries))
		f.Fix = fmt.Sprintf("Give it a number above %s, or apply it all the same: damson migrate up --out-of-order", Level(entries))
	case Changed:
		f.Summary = "An applied migration has changed"
		f.Detail = fmt.Sprintf("%s was applied %s with the checksum %.8s, and its file now has %.8s. Databases that have it will never see the change.",
			e, when(e.Row), e.Row.Checksum, e.Variant.Checksum())
		if e.Row.File != e.Variant.File {
			f.Detail = fmt.Sprintf("%s was applied %s from %s, and now %s stands for it with another text.", e, when(e.Row), e.Row.File, e.Variant.File)
		}
		f.Fix = fmt.Sprintf("Restore %s from version control, and put the change into a new migration: %s/%s__….sql", e.Row.File, Folder, nextLabel(entries))
	case Missing:
		f.Summary = "An applied migration has no file"
		f.Detail = fmt.Sprintf("%s was applied %s from %s, which is not there.", e, when(e.Row), e.Row.File)
		f.Fix = fmt.Sprintf("Restore %s from version control. If the database is ahead of your files, update them.", e.Row.File)
	case HalfWay:
		f.Summary = "A migration stands half-way"
		f.Detail = fmt.Sprintf("%s runs without a transaction. It was begun %s and has not ended, with %d of %d statements done: it failed, was stopped, or still runs in another process.",
			e, when(e.Row), e.Row.Done, e.Row.Statements)
		f.Fix = HalfWayFix(e.Label)
	default:
		panic("migrate: nothing to explain about a migration that is " + string(e.State))
	}
	return f
}

// HalfWayFix says how to go on after a migration that stands half-way.
func HalfWayFix(label string) string {
	return fmt.Sprintf("Once nobody runs it any more, look what of it the database has. Then run all of it again with\n`damson migrate mark %s pending` and `damson migrate up`, or, when you have completed it by hand, say so:\n`damson migrate mark %s applied`.", label, label)
}

// when tells when and by whom a migration was applied.
func when(r *Row) string {
	text := "on " + r.At.UTC().Format("2006-01-02 15:04 UTC")
	if r.By != "" {
		text += " by " + r.By
	}
	return text
}

// nextLabel is the number after the last one of project and history.
func nextLabel(entries []Entry) string {
	last := entries[len(entries)-1]
	return NextLabel([]Migration{{Version: last.Version, Label: last.Label}})
}
