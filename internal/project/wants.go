package project

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"damson/internal/diag"
	"damson/internal/migrate"
	"damson/internal/sqltext"
)

// SQLFile is a file of SQL as far as its words tell what it wants of a warehouse.
type SQLFile struct {
	Path  string
	SQL   string // with blanks where Jinja computes something, so that every other byte stays where it is
	Reads []TableRead
	// Decides says that the file's template leaves some of it out, depending on the warehouse or anything else.
	Decides bool
}

// TableRead is a place that reads a table with its schema.
type TableRead struct {
	Table string // schema.table, without quotes
	At    diag.Pos
}

// Pos gives the place of a byte of the file.
func (f SQLFile) Pos(offset int) diag.Pos { return sqltext.NewSource(f.Path, f.SQL).Pos(offset) }

// SQLFiles lists the files that tasks use, the macros these may call, and the migrations for the environment's warehouse, by path.
// What a file reads is told by words, not by grammar: the column of an alias, a.b after a comma, is among it.
func (p *Project) SQLFiles() []SQLFile {
	if p.templates == nil {
		return nil
	}
	var files []SQLFile
	migrations := map[string]bool{}
	for _, m := range p.Migrations {
		if v, ok := m.For(p.Environment.Kind()); ok {
			migrations[v.File] = true
		}
	}
	for _, path := range slices.Sorted(maps.Keys(p.templates.files)) {
		f := p.templates.files[path]
		if wanted := f.used && !strings.HasPrefix(path, migrate.Folder+"/"); !wanted && !migrations[path] {
			continue
		}
		out := SQLFile{Path: path, SQL: withoutJinja(f.Text), Decides: decides(f.Text)}
		for _, r := range f.reads {
			out.Reads = append(out.Reads, TableRead{r.table, out.Pos(r.offset)})
		}
		files = append(files, out)
	}
	for _, m := range p.templates.macros {
		if m.used {
			files = append(files, SQLFile{Path: m.Path, SQL: withoutJinja(m.Text), Decides: decides(m.Text)})
		}
	}
	return files
}

var ifHead = regexp.MustCompile(`\{%[-+]?\s*if\b`)

func decides(text string) bool { return ifHead.MatchString(text) }
