package project

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
)

// LabelLeaks warns of SQL, on the way from the project's raw tables to rows that a model both learns from and scores, whose
// conditions depend on the label: a row's features then differ by what is to be predicted, held-out rows profit from it, and
// rows to be scored, whose label is not known, do not. The label is the model's target and every column it is made of by an
// expression of that one column ("mode = 'walk' as label"). Tests whether it is NULL are no matter, and neither is SQL that
// feeds the labels alone.
//
// Words are read, not grammar: conditions inside macros, and columns renamed without AS, are not seen. What is made of the
// raw tables of the labels alone passes, even where such a table has features besides.
func (p *Project) LabelLeaks(name string) diag.Findings {
	m, err := p.Model(name)
	if err != nil || p.templates == nil || m.Target == "" {
		return nil
	}
	w := &way{templates: p.templates, writers: map[string][]*pipeline.Task{}, mentions: map[*sqlFile]mentions{}}
	var train, score []*pipeline.Task
	for _, pl := range p.Pipelines {
		for _, t := range pl.Tasks {
			switch {
			case t.SQL != nil && strings.Contains(t.Into(), "."):
				w.writers[tableKey(t.Into())] = append(w.writers[tableKey(t.Into())], t)
			case t.Train != nil && t.Train.Model == name:
				train = append(train, t)
			case t.Score != nil && t.Score.Model == name:
				score = append(score, t)
			}
		}
	}
	learned, scored := w.above(train), w.above(score)
	label := w.label(m.Target, learned)
	targets := maps.Clone(label)
	for _, other := range p.Models {
		targets[strings.ToLower(other.Target)] = true
	}
	labelsOnly := w.labelRoots(label, learned)
	var all diag.Findings
	for _, f := range learned.sorted() {
		_, both := scored.files[f]
		if len(score) == 0 {
			both = learned.files[f] != nil // what leads to the source leads to other rows, too
		}
		if !both {
			continue // it makes rows to learn from only
		}
		if !labelsOnly.holdsAll(w.roots(f, map[*sqlFile]bool{})) {
			all = append(all, w.judge(m, f, learned.files[f], label, targets)...)
		}
	}
	return all
}

// checkLabels warns of what LabelLeaks finds of the models that tasks train, one place once.
func (l *loader) checkLabels() {
	said := map[diag.Pos]bool{}
	for _, m := range l.project.Models {
		for _, f := range l.project.LabelLeaks(m.Name) {
			if !said[f.At] {
				said[f.At] = true
				l.findings = append(l.findings, f)
			}
		}
	}
}

// way is what leads from raw tables to the rows of a model.
type way struct {
	templates *templates
	writers   map[string][]*pipeline.Task // of tables, by sql tasks
	mentions  map[*sqlFile]mentions
}

// upstream are the files that make rows, each with the task that runs it; nil is the task of a source's own file.
type upstream struct{ files map[*sqlFile]*pipeline.Task }

func (u upstream) sorted() []*sqlFile {
	return slices.SortedFunc(maps.Keys(u.files), func(a, b *sqlFile) int { return strings.Compare(a.Path, b.Path) })
}

// above lists the files above tasks that train or score.
func (w *way) above(tasks []*pipeline.Task) upstream {
	u := upstream{map[*sqlFile]*pipeline.Task{}}
	for _, t := range tasks {
		for _, f := range w.templates.uses(t) {
			w.climb(u, f, nil)
		}
		if t.File() == "" {
			w.climbTable(u, tableKey(t.Source()))
		}
	}
	return u
}

func (w *way) climb(u upstream, f *sqlFile, by *pipeline.Task) {
	if before, seen := u.files[f]; seen && (before != nil || by == nil) {
		return
	}
	u.files[f] = by
	if _, read := w.mentions[f]; !read {
		w.mentions[f] = readMentions(f.Text)
	}
	for _, r := range f.reads {
		w.climbTable(u, r.table)
	}
}

func (w *way) climbTable(u upstream, table string) {
	for _, t := range w.writers[table] {
		for _, f := range w.templates.uses(t) {
			w.climb(u, f, t)
		}
	}
}

// names are columns, or tables.
type names map[string]bool

// holdsAll reports whether all of some names are among these, and there are any.
func (n names) holdsAll(some names) bool {
	for name := range some {
		if !n[name] {
			return false
		}
	}
	return len(some) > 0
}

// label lists the target and the columns that it is made of.
func (w *way) label(target string, u upstream) names {
	label := names{strings.ToLower(target): true}
	for before := 0; before < len(label); {
		before = len(label)
		for f := range u.files {
			made := w.mentions[f]
			of := make([]names, len(made.aliases))
			for _, m := range made.all {
				if m.item >= 0 && label[made.aliases[m.item]] {
					if of[m.item] == nil {
						of[m.item] = names{}
					}
					of[m.item][m.column] = true
				}
			}
			for _, columns := range of {
				if len(columns) == 1 {
					maps.Copy(label, columns)
				}
			}
		}
	}
	return label
}

// roots lists the tables above a file that no sql task writes.
func (w *way) roots(f *sqlFile, seen map[*sqlFile]bool) names {
	roots := names{}
	if seen[f] {
		return roots
	}
	seen[f] = true
	for _, r := range f.reads {
		if len(w.writers[r.table]) == 0 {
			roots[r.table] = true
		}
		for _, t := range w.writers[r.table] {
			for _, above := range w.templates.uses(t) {
				maps.Copy(roots, w.roots(above, seen))
			}
		}
	}
	return roots
}

// labelRoots lists the raw tables that labels come from: those above the first files that name the label. There are none
// when features come from no others.
func (w *way) labelRoots(label names, u upstream) names {
	named := map[*sqlFile]bool{}
	for f := range u.files {
		named[f] = slices.ContainsFunc(w.mentions[f].all, func(m mention) bool { return label[m.column] })
	}
	labels, all := names{}, names{}
	for f := range u.files {
		roots := w.roots(f, map[*sqlFile]bool{})
		maps.Copy(all, roots)
		own := upstream{map[*sqlFile]*pipeline.Task{}}
		for _, r := range f.reads {
			w.climbTable(own, r.table)
		}
		delete(own.files, f)
		first := named[f]
		for above := range own.files {
			first = first && !named[above]
		}
		if first {
			maps.Copy(labels, roots)
		}
	}
	if labels.holdsAll(all) {
		return names{}
	}
	return labels
}

// judge finds the conditions of a file that depend on the label: one finding for each clause. Those that make a model's
// target are what labels are for.
func (w *way) judge(m *pipeline.Model, f *sqlFile, by *pipeline.Task, label, targets names) diag.Findings {
	made := w.mentions[f]
	src := sqltext.NewSource(f.Path, f.Text)
	said := map[string]bool{}
	var all diag.Findings
	for _, found := range made.all {
		makesTarget := found.item >= 0 && targets[made.aliases[found.item]]
		if found.clause == "" || found.nullTest || makesTarget || !label[found.column] || said[found.clause] {
			continue
		}
		said[found.clause] = true
		maker := "The rows of " + f.Path
		if by != nil {
			maker = "Task " + by.Name
		}
		what := fmt.Sprintf("the target of model %s", m.Name)
		if found.column != strings.ToLower(m.Target) {
			what = fmt.Sprintf("of which %s, the target of model %s, is made", m.Target, m.Name)
		}
		all = append(all, diag.Finding{At: src.Pos(found.offset), Severity: diag.Warning, Summary: "Features depend on the label",
			Detail: fmt.Sprintf("%s: a %s looks at %s, %s, on the way to rows that the model learns from. Held-out rows look better than rows whose label is not known.", maker, found.clause, found.column, what),
			Fix:    "Treat rows alike, whatever their label is; leave out rows by their features only."})
	}
	return all
}
