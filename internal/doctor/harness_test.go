package doctor

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/go-cmp/cmp"

	"damson/internal/clock"
	"damson/internal/pgtest"
	"damson/internal/project"
	"damson/internal/warehouse/postgres"
	"damson/internal/warehouse/rows"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { pgtest.Main(m) }

// text writes checks as lines that a test compares.
func text(checks []Check) string {
	var b strings.Builder
	for _, c := range checks {
		fmt.Fprintf(&b, "%s: %s", c.Status, c.What)
		if c.At.File != "" {
			fmt.Fprintf(&b, " [%s]", c.At)
		}
		b.WriteString("\n")
		if c.Why != "" {
			b.WriteString("  " + c.Why + "\n")
		}
		if c.Fix != "" {
			b.WriteString("  Fix: " + c.Fix + "\n")
		}
	}
	return b.String()
}

// golden compares a text with testdata/NAME.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got); -update rewrites it\n%s", path, d)
	}
}

// answers gives rows by what a statement contains; a statement that none fits fails.
func answers(t *testing.T, given map[string][][]any) Query {
	return func(_ context.Context, sql string) (array.RecordReader, error) {
		for part, values := range given {
			if strings.Contains(sql, part) {
				return rows.New(schemaOf(values), values)
			}
		}
		t.Errorf("unexpected statement: %s", sql)
		return nil, fmt.Errorf("no answer")
	}
}

func schemaOf(values [][]any) *arrow.Schema {
	var fields []arrow.Field
	if len(values) > 0 {
		for i, v := range values[0] {
			kind := rows.TextType
			switch v.(type) {
			case int, int64:
				kind = rows.BigintType
			case float64:
				kind = rows.DoubleType
			case bool:
				kind = rows.BooleanType
			}
			fields = append(fields, rows.Field(fmt.Sprint("c", i), kind))
		}
	}
	return arrow.NewSchema(fields, nil)
}

// loaded makes a project of files.
func loaded(t *testing.T, files map[string]string) *project.Project {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	p, findings := project.Load(dir, project.Options{})
	if findings.HasErrors() {
		t.Fatal(findings)
	}
	return p
}

// open opens a database as the warehouse.
func open(t *testing.T, url string) *postgres.Warehouse {
	t.Helper()
	w, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func run(t *testing.T, w *postgres.Warehouse, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := w.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// patientOf is a project whose warehouse is at a URL and which has no store.
func patientOf(p *project.Project, url string) Patient {
	return Patient{Project: p, Clock: clock.System{}, StateDir: filepath.Join(p.Dir, ".damson"), Crew: Crew{2, 32},
		Python: func() (string, bool) { return "python-that-is-not-there", false },
		Store:  func(context.Context) (Store, error) { return Store{Place: "store.sqlite", Absent: true}, nil },
		Leader: func(context.Context) (*Leader, error) { return nil, nil },
		Warehouse: func(ctx context.Context) (Opened, error) {
			w, err := postgres.Open(ctx, url, postgres.Options{})
			if err != nil {
				return Opened{}, err
			}
			return Opened{Query: w.Query, Capabilities: w.Capabilities(), Driver: w, Close: w.Close, Place: "here"}, nil
		}}
}

// named gives the checks of a name, as text.
func named(checks []Check, area, name string) string {
	var some []Check
	for _, c := range checks {
		if c.Area == area && c.Name == name {
			some = append(some, c)
		}
	}
	return text(some)
}
