// Package load reads files into a table of the warehouse: CSV, TSV, JSON, Parquet and GeoLife's PLT, plain or packed with
// gzip or zstd. Its one operation is Run; what it did is a Result. The rows travel to the warehouse as Arrow record batches
// that parsers of this package fill, so every warehouse loads alike.
//
// Invariants:
//  1. Rows, rejects and the record of what was loaded commit in one transaction with the task's ledger rows, or not at all.
//  2. A file whose name, content and settings are recorded is not loaded again; one whose content or settings changed
//     replaces exactly its own rows and rejects.
//  3. Every line of a file becomes a row, a reject, or part of the declared head; only blank lines are nothing.
//  4. The same files give the same rows in the same order, whatever the number of threads.
//
// It refuses to guess: a header that does not fit the declared columns, or a table that does not fit the rows, is a finding.
// See docs/load.md.
package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/clock"
	"damson/internal/diag"
	"damson/internal/load/glob"
	"damson/internal/pipeline"
	"damson/internal/run"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
)

// Warehouse is what a load needs of a database; *warehouse.Warehouse is one.
type Warehouse interface {
	Do(ctx context.Context, claims []run.Claim, f func(tx *warehouse.Tx) (result any, err error)) error
}

// Options tune Run; the zero value works, save for Parquet files.
type Options struct {
	Threads  int            // that parse; 0 = one per core
	Progress func(Progress) // told from time to time, from one goroutine at a time
	Clock    clock.Clock    // nil = the machine's
	// Parquet streams the rows of a Parquet file; files of that format need it.
	Parquet func(ctx context.Context, path string) (array.RecordReader, error)
}

// Progress is how far a load is. When the transaction has to begin again, it goes back to nought.
type Progress struct {
	Files, FilesTotal int   // to be read: those that are already loaded do not count
	Bytes, BytesTotal int64 // of those files, as they lie on the disk
	Rows, Rejects     int64
}

// Result is what a load did.
type Result struct {
	Files     int      `json:"files"`              // that the globs match
	Loaded    int      `json:"loaded"`             // read now, the replaced ones among them
	Replaced  int      `json:"replaced,omitempty"` // whose content or settings had changed
	Unchanged int      `json:"unchanged"`          // whose rows are already there
	Vanished  int      `json:"vanished,omitempty"` // recorded, and gone from the disk: their rows stay
	Gone      []string `json:"gone,omitempty"`     // the first of them by name
	Rows      int64    `json:"rows"`               // added now
	Rejects   int64    `json:"rejects"`            // added now
	Bytes     int64    `json:"bytes"`              // read now, as they lie on the disk
	Evidence  []Reject `json:"evidence,omitempty"` // the first rejects
	Created   bool     `json:"created,omitempty"`  // the table did not exist before
	Columns   []string `json:"columns,omitempty"`  // of a table made now, "name type"
}

const evidence = 5 // rejects, or names, that a result or finding shows

// Run loads the files of spec, whose globs are relative to spec.Root, itself relative to dir, the project's directory. It
// gives warehouse.ErrCommitted when one of the claims is already in the ledger. Texts in spec are already rendered.
func Run(ctx context.Context, wh Warehouse, spec pipeline.Load, dir string, claims []run.Claim, opts Options) (Result, error) {
	j, err := newJob(spec, dir, claims, opts)
	if err != nil {
		return Result{}, err
	}
	err = wh.Do(ctx, claims, func(tx *warehouse.Tx) (any, error) {
		if err := j.load(ctx, tx); err != nil {
			return nil, err
		}
		return j.result, nil
	})
	if err != nil {
		return Result{}, err
	}
	return j.result, nil
}

// job is one load while it runs.
type job struct {
	spec     pipeline.Load
	to       target
	claims   []run.Claim
	opts     Options
	threads  int
	globs    *glob.Set
	files    []*file
	declared []driver.Column // nil: from the files
	fields   []string        // columns from the files' names
	print    string          // the fingerprint of spec

	layout   *layout
	parser   func() parser
	result   Result
	progress Progress
}

// newJob checks the spec and finds the files.
func newJob(spec pipeline.Load, dir string, claims []run.Claim, opts Options) (*job, error) {
	j := &job{spec: spec, claims: claims, opts: opts, threads: opts.Threads}
	if j.threads <= 0 {
		j.threads = runtime.GOMAXPROCS(0)
	}
	if j.opts.Clock == nil {
		j.opts.Clock = clock.System{}
	}
	err := checkSpec(spec, opts)
	if err != nil {
		return nil, err
	}
	if j.to, err = newTarget(spec.Into); err != nil {
		return nil, err
	}
	if j.declared, err = declared(spec); err != nil {
		return nil, err
	}
	pattern, fields, err := fieldPattern(spec)
	if err != nil {
		return nil, err
	}
	j.fields = fields
	root := spec.Root
	if !filepath.IsAbs(root) {
		root = filepath.Join(dir, root)
	}
	if root, err = filepath.Abs(root); err != nil {
		return nil, err
	}
	if j.globs, err = glob.New(root, spec.Files); err != nil {
		return nil, err
	}
	found, err := j.globs.Find()
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		j.files = append(j.files, &file{path: f.Path, name: f.Name})
	}
	j.print, err = fingerprint(spec)
	return j, errors.Join(err, nameFields(j.files, spec, pattern))
}

// checkSpec refuses settings that no file could satisfy.
func checkSpec(spec pipeline.Load, opts Options) error {
	formats := []string{"csv", "tsv", "json", "parquet", "plt"}
	known := false
	for _, f := range formats {
		known = known || f == spec.Format
	}
	switch {
	case !known:
		return diag.Finding{
			Summary: "Unknown file format",
			Detail:  fmt.Sprintf("format is %q; load reads csv, tsv, json, parquet and plt.", spec.Format),
			Fix:     diag.DidYouMean(spec.Format, formats),
		}
	case len(spec.Files) == 0:
		return diag.Finding{
			Summary: "A load without files",
			Detail:  fmt.Sprintf("The load into %s names no files.", spec.Into),
			Fix:     `Name them, for example files = ["data/*.csv"].`,
		}
	case len(spec.Delimiter) > 1 || spec.Delimiter == `"` || spec.Delimiter == "\n" || spec.Delimiter == "\r":
		return diag.Finding{
			Summary: "Bad delimiter",
			Detail:  fmt.Sprintf("delimiter is %q; it must be one ASCII character other than a quote or a line end.", spec.Delimiter),
		}
	case spec.Format == "parquet" && opts.Parquet == nil:
		return diag.Finding{
			Summary: "Parquet cannot be read here",
			Detail:  "This program was built without a reader of Parquet files.",
			Fix:     "Load CSV or JSON instead.",
		}
	}
	return nil
}

// fingerprint writes out what of a spec decides which rows a file gives.
func fingerprint(spec pipeline.Load) (string, error) {
	spec.Files, spec.Root, spec.Into, spec.MaxRejects, spec.Storage = nil, "", "", 0, pipeline.Storage{}
	text, err := json.Marshal(spec)
	return string(text), err
}

// taken counts a part that the warehouse is about to get, and ends the load when it brings a reject too many.
func (j *job) taken(p part) error {
	if p.rows != nil {
		j.result.Rows += p.rows.NumRows()
	}
	j.result.Rejects += int64(len(p.rejects))
	for _, r := range p.rejects {
		if len(j.result.Evidence) < evidence {
			j.result.Evidence = append(j.result.Evidence, r)
		}
	}
	for _, d := range p.done {
		j.result.Bytes += d.bytes
	}
	j.progress.Files += len(p.done)
	j.progress.Bytes, j.progress.Rows, j.progress.Rejects = j.result.Bytes, j.result.Rows, j.result.Rejects
	if j.opts.Progress != nil {
		j.opts.Progress(j.progress)
	}
	if most := j.spec.MaxRejects; most >= 0 && j.result.Rejects > int64(most) {
		return j.tooMany()
	}
	return nil
}

// tooMany is the finding for a load with more rejects than the spec allows.
func (j *job) tooMany() error {
	detail := fmt.Sprintf("More than %d lines could not become rows of %s. The first:", j.spec.MaxRejects, j.spec.Into)
	if j.spec.MaxRejects == 0 {
		detail = fmt.Sprintf("A line could not become a row of %s, and max_rejects allows none. The first:", j.spec.Into)
	}
	for _, r := range j.result.Evidence {
		text := r.Text
		if len(text) > 120 {
			text = string([]rune(text[:120])) + "…"
		}
		detail += fmt.Sprintf("\n%s:%d: %s\n    %s", r.File, r.Line, r.Reason, text)
	}
	first := j.result.Evidence[0]
	return diag.Finding{
		At:      diag.Pos{File: first.File, Line: int(first.Line)},
		Summary: "Too many lines rejected",
		Detail:  detail,
		Fix:     "Mend the lines or the columns' types, or raise max_rejects (-1 = no bound). Nothing was loaded.",
	}
}
