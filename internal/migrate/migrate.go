// Package migrate knows the versioned changes of a warehouse's schema: the files of migrations/, and what is to be done with
// them in a warehouse that has a history. Its central type is Migration; Plan compares migrations with a history.
//
// It is pure: it reads no files, runs no SQL and tells no time. Package migrate/history does what Plan says.
//
// Invariants:
//  1. Migrations are ordered by their numbers, whatever zeros these are written with. No two have one number.
//  2. The checksum of a variant depends on its text alone, not on line ends, variables or what its template renders to.
//  3. A migration that a history has is never pending: it is applied, or something is wrong with it.
package migrate

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"damson/internal/diag"
	"damson/internal/sqltext"
)

// Folder is where a project keeps its migrations.
const Folder = "migrations"

// Engines are the kinds of warehouse that a variant can be for.
var Engines = []string{"duckdb", "greenplum", "postgres"}

// File is one file of the folder: its path from the project, and its text with \n at line ends.
type File struct{ Path, Text string }

// Migration is one change of the schema, with the files that make it on different warehouses.
type Migration struct {
	Version  int64
	Label    string // the number as it is written: "V001"
	Name     string // "add_speed" of V001__add_speed.sql
	Variants []Variant
}

// Variant is one file of a migration.
type Variant struct {
	File   string
	Engine string // the kind of warehouse it is for; "" = every one that has none of its own
	Text   string
	// Alone says that each statement runs by itself: the file opens with `-- damson: transaction = none`.
	Alone bool
}

// String is the migration as people name it: V001__add_speed.
func (m Migration) String() string { return m.Label + "__" + m.Name }

// For gives the variant for a kind of warehouse: its own, on greenplum else that for postgres, else the one for all.
func (m Migration) For(kind string) (Variant, bool) {
	engines := []string{kind, ""}
	if kind == "greenplum" {
		engines = []string{kind, "postgres", ""}
	}
	for _, engine := range engines {
		if i := slices.IndexFunc(m.Variants, func(v Variant) bool { return v.Engine == engine }); i >= 0 {
			return m.Variants[i], true
		}
	}
	return Variant{}, false
}

// Checksum is SHA-256 over the text, in hexadecimal.
func (v Variant) Checksum() string {
	sum := sha256.Sum256([]byte(strings.ReplaceAll(v.Text, "\r\n", "\n")))
	return hex.EncodeToString(sum[:])
}

// fileName is V<number>__<name>[.<engine>].sql.
var fileName = regexp.MustCompile(`^(V(\d{1,18}))__([A-Za-z0-9_-]+)(?:\.([A-Za-z0-9_-]+))?\.sql$`)

// Read puts the files of the folder together, ordered by number. What it cannot take is a finding and is left out.
func Read(files []File) ([]Migration, diag.Findings) {
	r := reader{byVersion: map[int64]*Migration{}}
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	for _, f := range files {
		r.take(f)
	}
	migrations := make([]Migration, 0, len(r.byVersion))
	for _, m := range r.byVersion {
		migrations = append(migrations, *m)
	}
	slices.SortFunc(migrations, func(a, b Migration) int { return cmp.Compare(a.Version, b.Version) })
	r.findings = append(r.findings, badNames(r.badNames, migrations)...)
	r.findings.Sort()
	return migrations, r.findings
}

type reader struct {
	byVersion map[int64]*Migration
	badNames  []string
	findings  diag.Findings
}

func (r *reader) wrong(at diag.Pos, summary, detail, fix string) {
	r.findings = append(r.findings, diag.Finding{At: at, Severity: diag.Error, Summary: summary, Detail: detail, Fix: fix})
}

func (r *reader) take(f File) {
	folder, base := path.Split(f.Path)
	parts := fileName.FindStringSubmatch(base)
	at := diag.Pos{File: f.Path}
	switch {
	case folder != Folder+"/":
		r.wrong(at, "Migration in a folder of its own", fmt.Sprintf("%s is not directly under %s/.", f.Path, Folder),
			fmt.Sprintf("Move it to %s/%s.", Folder, base))
		return
	case parts == nil:
		r.badNames = append(r.badNames, f.Path)
		return
	case parts[4] != "" && !slices.Contains(Engines, parts[4]):
		fix := diag.DidYouMean(parts[4], Engines)
		if fix == "" {
			fix = "Write one of " + strings.Join(Engines, ", ") + " before .sql, or nothing."
		}
		r.wrong(at, "Unknown kind of warehouse", fmt.Sprintf("%s would be for warehouses of the kind %q.", base, parts[4]), fix)
		return
	}
	version, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		panic(fmt.Sprintf("migrate: %d digits that are no number", len(parts[2]))) // the expression lets none through
	}
	alone, findings := directive(f)
	r.findings = append(r.findings, findings...)
	r.add(Migration{Version: version, Label: parts[1], Name: parts[3]}, Variant{File: f.Path, Engine: parts[4], Text: f.Text, Alone: alone})
}

// add puts a variant to its migration.
func (r *reader) add(m Migration, v Variant) {
	before := r.byVersion[m.Version]
	if before == nil {
		before = &m
		r.byVersion[m.Version] = before
	}
	if before.String() != m.String() {
		other := before.Variants[0].File
		r.wrong(diag.Pos{File: v.File}, "Two migrations with one number", fmt.Sprintf("%s has the number %d already.", other, m.Version),
			fmt.Sprintf("Give one of them another number, or, when they are variants of one migration, the same name: %s.%s.sql.", before, cmp.Or(v.Engine, "ENGINE")))
		return
	}
	before.Variants = append(before.Variants, v)
}

// badNames says of each file how it should be called.
func badNames(files []string, migrations []Migration) diag.Findings {
	var findings diag.Findings
	for _, file := range files {
		fix := fmt.Sprintf("Rename it, for example to %s__what_it_does.sql.", NextLabel(migrations))
		if name := likelyName(path.Base(file), migrations); name != "" {
			fix = fmt.Sprintf("Did you mean %q?", name)
		}
		findings = append(findings, diag.Finding{At: diag.Pos{File: file}, Severity: diag.Error, Summary: "Not a migration's name", Fix: fix,
			Detail: fmt.Sprintf("%s has not the form V<number>__<name>.sql or V<number>__<name>.<engine>.sql, with letters, digits, _ and - in the name.", path.Base(file))})
	}
	return findings
}

// NextLabel is the number after the last one, written with as many digits.
func NextLabel(migrations []Migration) string {
	if len(migrations) == 0 {
		return "V001"
	}
	last := migrations[len(migrations)-1]
	return fmt.Sprintf("V%0*d", len(last.Label)-1, last.Version+1)
}

var (
	numbered         = regexp.MustCompile(`^[vV]?(\d{1,18})[^A-Za-z0-9.]+(.*)$`)
	beginsWithNumber = regexp.MustCompile(`^[vV]?\d`)
	notInName        = regexp.MustCompile(`[^A-Za-z0-9_-]+`)
)

// likelyName is how a file with another name was perhaps meant to be called, "" when that is not to be seen.
func likelyName(base string, migrations []Migration) string {
	stem, label := base[:len(base)-len(path.Ext(base))], NextLabel(migrations)
	if m := numbered.FindStringSubmatch(stem); m != nil {
		label, stem = "V"+m[1], m[2]
	} else if beginsWithNumber.MatchString(stem) {
		return ""
	}
	engine := ""
	if ext := path.Ext(stem); ext != "" && slices.Contains(Engines, ext[1:]) {
		engine, stem = ext, strings.TrimSuffix(stem, ext)
	}
	name := strings.Trim(notInName.ReplaceAllString(stem, "_"), "_-")
	if proposed := label + "__" + name + engine + ".sql"; fileName.MatchString(proposed) && (name[0] < '0' || name[0] > '9') {
		return proposed
	}
	return ""
}

var directiveLine = regexp.MustCompile(`^--\s*damson:\s*(.*?)\s*$`)

// directive reads the comments at the head of the file that speak to Damson. One further down is a finding, because it would be
// overlooked.
func directive(f File) (alone bool, findings diag.Findings) {
	src := sqltext.NewSource(f.Path, f.Text)
	head := true
	for at := 0; at < len(f.Text); {
		tok := sqltext.Next(f.Text, at)
		at = tok.To
		head = head && !tok.Significant()
		said := directiveLine.FindStringSubmatch(f.Text[tok.From:tok.To])
		if tok.Kind != sqltext.Comment || said == nil {
			continue
		}
		wrong := func(summary, detail, fix string) {
			findings = append(findings, diag.Finding{At: src.Pos(tok.From), Severity: diag.Error, Summary: summary, Detail: detail, Fix: fix})
		}
		key, value, _ := strings.Cut(said[1], "=")
		switch key, value = strings.TrimSpace(key), strings.TrimSpace(value); {
		case !head:
			wrong("Directive too late", "A comment that begins with `-- damson:` counts only before the first statement.", "Move it to the first line.")
		case key != "transaction" || value != "none":
			wrong("Unknown directive", fmt.Sprintf("`%s` says nothing to a migration.", said[0]), "Write `-- damson: transaction = none`, or remove the line.")
		default:
			alone = true
		}
	}
	return alone, findings
}
