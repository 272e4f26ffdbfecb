package load_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"damson/internal/diag"
	"damson/internal/load"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/duckdb"
	"damson/internal/warehouse/rows"
	"damson/internal/warehouse/warehousetest"
)

// place is a project directory and a database for one test.
type place struct {
	t   *testing.T
	dir string
	wh  *warehouse.Warehouse
	n   int // loads so far: the attempt of the next one's claim
}

func newPlace(t *testing.T) *place {
	t.Helper()
	return &place{t: t, dir: t.TempDir(), wh: warehousetest.Open(t, "duckdb")}
}

// write makes a file, and the directories above it.
func (p *place) write(name, content string) {
	p.t.Helper()
	at := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(content), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// try loads and gives what came of it.
func (p *place) try(spec pipeline.Load) (load.Result, error) {
	p.n++
	claims := []run.Claim{{RunID: "r1", Task: "fetch", Attempt: p.n}}
	return load.Run(p.t.Context(), p.wh, spec, p.dir, claims, load.Options{Parquet: duckdb.ReadParquet})
}

// load loads and expects success.
func (p *place) load(spec pipeline.Load) load.Result {
	p.t.Helper()
	r, err := p.try(spec)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// refuse loads, and expects a finding that holds all the texts and a warehouse in which nothing was written.
func (p *place) refuse(spec pipeline.Load, texts ...string) {
	p.t.Helper()
	_, err := p.try(spec)
	if err == nil {
		p.t.Fatalf("the load succeeded; a finding with %q was expected", texts)
	}
	var f diag.Finding
	if !errors.As(err, &f) {
		p.t.Errorf("the error is no finding: %v", err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			p.t.Errorf("the finding has no %q:\n%v", text, err)
		}
	}
	if done, err := p.wh.Committed(context.Background(), []run.Claim{{RunID: "r1", Task: "fetch", Attempt: p.n}}); err != nil || len(done) > 0 {
		p.t.Errorf("the ledger has the refused load: %v %v", done, err)
	}
}

// rows gives a query's rows as text, a row a line, values between bars, NULL as ∅.
func (p *place) rows(sql string) string {
	p.t.Helper()
	r, err := p.wh.Query(p.t.Context(), sqltext.Plain("", sql))
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Release()
	var lines []string
	for r.Next() {
		b := r.RecordBatch()
		for i := range int(b.NumRows()) {
			var values []string
			for c := range int(b.NumCols()) {
				text := rows.Format(b.Column(c), i)
				if b.Column(c).IsNull(i) {
					text = "∅"
				}
				values = append(values, text)
			}
			lines = append(lines, strings.Join(values, "|"))
		}
	}
	if err := r.Err(); err != nil {
		p.t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// expect compares a query's rows with lines of text.
func (p *place) expect(sql string, want ...string) {
	p.t.Helper()
	if got := p.rows(sql); got != strings.Join(want, "\n") {
		p.t.Errorf("%s gives\n%s\nwant\n%s", sql, got, strings.Join(want, "\n"))
	}
}

// sum is the checksum of a table.
func (p *place) sum(table string) string {
	p.t.Helper()
	_, sum, err := p.wh.Checksum(p.t.Context(), table)
	if err != nil {
		p.t.Fatal(err)
	}
	return sum
}

func gzipped(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zstded(t *testing.T, s string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(s), nil))
}

// text is SQL from no file.
func text(sql string) sqltext.Text { return sqltext.Plain("", sql) }

// exec runs a statement in a transaction of its own.
func (p *place) exec(sql string) {
	p.t.Helper()
	err := p.wh.Do(p.t.Context(), nil, func(tx *warehouse.Tx) (any, error) { return tx.Exec(p.t.Context(), text(sql)) })
	if err != nil {
		p.t.Fatal(err)
	}
}
