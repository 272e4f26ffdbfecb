package load

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sync/errgroup"

	"damson/internal/diag"
	"damson/internal/load/glob"
	"damson/internal/run"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
)

// plan is what a load has to do, found out before it writes anything.
type plan struct {
	load    []*file  // to read
	replace []string // names whose rows go first
	table   []driver.Column
}

// load does the work of one transaction. It may be called again when another transaction got in the way.
func (j *job) load(ctx context.Context, tx *warehouse.Tx) error {
	j.result, j.progress = Result{Files: len(j.files)}, Progress{}
	if err := makeTables(ctx, tx); err != nil {
		return err
	}
	p, err := j.plan(ctx, tx)
	if err != nil || len(p.load) == 0 {
		return err
	}
	if err := j.shape(ctx, p); err != nil {
		return err
	}
	if err := claimTarget(ctx, tx, j.to); err != nil {
		return err
	}
	if err := j.makeTarget(ctx, tx, p.table); err != nil {
		return err
	}
	if err := forget(ctx, tx, j.to, fileColumn(j.spec), p.replace); err != nil {
		return err
	}
	j.result.Loaded, j.progress.FilesTotal = len(p.load), len(p.load)
	for _, f := range p.load {
		j.progress.BytesTotal += f.bytes
	}
	return j.write(ctx, tx, p.load)
}

// plan compares the files with what the target holds.
func (j *job) plan(ctx context.Context, tx *warehouse.Tx) (plan, error) {
	var p plan
	known, err := records(ctx, tx, j.to)
	if err != nil {
		return p, err
	}
	if p.table, err = tx.Table(ctx, j.to.into); err != nil {
		return p, err
	}
	if known, err = j.believe(ctx, tx, known, p.table); err != nil {
		return p, err
	}
	changed, err := j.compare(ctx, known)
	if err != nil {
		return p, err
	}
	for i, f := range j.files {
		if !changed[i] {
			j.result.Unchanged++
			continue
		}
		p.load = append(p.load, f)
		if f.was != nil {
			p.replace = append(p.replace, f.name)
		}
	}
	j.result.Replaced = len(p.replace)
	j.vanished(known)
	return p, nil
}

// believe gives the records that the table bears out: none when it is gone or empty, for then somebody has dropped or
// emptied it to load everything anew.
func (j *job) believe(ctx context.Context, tx *warehouse.Tx, known map[string]*record, table []driver.Column) (map[string]*record, error) {
	rows := int64(0)
	for _, rec := range known {
		rows += rec.rows
	}
	if len(known) == 0 || rows == 0 && table != nil {
		return known, nil
	}
	if table != nil {
		r, err := tx.Query(ctx, plain("select 1 from %s limit 1", j.to.sql))
		if err != nil {
			return nil, err
		}
		full := r.Next() && r.RecordBatch().NumRows() > 0
		err = r.Err()
		r.Release()
		if full || err != nil {
			return known, err
		}
	}
	for _, own := range []string{filesTable, rejectsTable} {
		if _, err := tx.Exec(ctx, plain("delete from %s where target = %s", own, sqltext.QuoteLiteral(j.to.key))); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// compare tells for each file whether it has to be read. Only files that are recorded with the same size and settings are
// opened, to compare checksums.
func (j *job) compare(ctx context.Context, known map[string]*record) ([]bool, error) {
	changed := make([]bool, len(j.files))
	work, ctx := errgroup.WithContext(ctx)
	for t := range j.threads {
		work.Go(func() error {
			s := newSource()
			defer s.close()
			for i := t; i < len(j.files); i += j.threads {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				f := j.files[i]
				f.was = known[f.name]
				info, err := os.Stat(f.path)
				if err != nil {
					return glob.Unreadable(f.path, err)
				}
				f.bytes = info.Size()
				changed[i] = f.was == nil || f.was.bytes != f.bytes || f.was.spec != j.print
				if !changed[i] {
					sum, err := s.sum(f)
					if err != nil {
						return err
					}
					changed[i] = sum != f.was.sum
				}
			}
			return nil
		})
	}
	return changed, work.Wait()
}

// vanished counts the recorded files that the globs would find, were they still there.
func (j *job) vanished(known map[string]*record) {
	here := make(map[string]bool, len(j.files))
	for _, f := range j.files {
		here[f.name] = true
	}
	var gone []string
	for name := range known {
		if !here[name] && j.globs.Matches(filepath.ToSlash(name)) {
			gone = append(gone, name)
		}
	}
	sort.Strings(gone)
	j.result.Vanished = len(gone)
	j.result.Gone = gone[:min(len(gone), evidence)]
}

// shape settles the columns and the parser.
func (j *job) shape(ctx context.Context, p plan) error {
	own := append(append([]string(nil), j.fields...), fileColumn(j.spec), j.spec.LineColumn)
	data := j.declared
	if data == nil {
		for _, c := range p.table {
			if !contains(own, c.Name) {
				data = append(data, c)
			}
		}
	}
	if data == nil {
		var err error
		if data, err = j.infer(ctx, p.load); err != nil {
			return err
		}
	}
	var err error
	if j.layout, err = newLayout(data, j.spec, j.fields); err != nil {
		return err
	}
	names := j.layout.dataNames()
	j.parser = func() parser {
		switch j.spec.Format {
		case "plt":
			return newPLT(j.spec)
		case "json":
			return newJSON(j.spec, names)
		}
		return newCSV(j.spec, names)
	}
	return nil
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// makeTarget makes the table, or makes sure that it can take the rows.
func (j *job) makeTarget(ctx context.Context, tx *warehouse.Tx, table []driver.Column) error {
	if table == nil {
		j.result.Created = true
		for _, c := range j.layout.columns {
			j.result.Columns = append(j.result.Columns, fmt.Sprintf("%s %s", c.Name, c.Type))
		}
		return tx.CreateTable(ctx, j.to.into, j.layout.columns, j.spec.Storage)
	}
	types := map[string]driver.Type{}
	for _, c := range table {
		types[c.Name] = c.Type
	}
	for _, c := range j.layout.columns {
		have, ok := types[c.Name]
		if ok && have == c.Type {
			continue
		}
		f := diag.Finding{
			Summary: "The table does not fit the rows",
			Detail:  fmt.Sprintf("%s has no column %q, which the load fills with %s; it has %s.", j.spec.Into, c.Name, c.Type, strings.Join(columnNames(table), ", ")),
			Fix:     fmt.Sprintf("Add the column in a migration, or drop %s: the next load makes it and loads all files.", j.spec.Into),
		}
		if ok {
			f.Detail = fmt.Sprintf("Column %q of %s is %s; the load fills it with %s.", c.Name, j.spec.Into, have, c.Type)
			f.Fix = fmt.Sprintf("Declare it as %s, or drop %s: the next load makes it and loads all files.", have, j.spec.Into)
		}
		return f
	}
	return nil
}

// write moves the rows, the rejects and the records of the files into the warehouse.
func (j *job) write(ctx context.Context, tx *warehouse.Tx, files []*file) error {
	s := j.start(ctx, files)
	defer s.stop()
	for {
		_, err := tx.Append(ctx, j.to.into, s)
		if s.err != nil {
			return s.err // the cause; what the database makes of a reader that fails says less
		}
		if err != nil {
			return err
		}
		again := s.paused
		rejects, done := s.resume()
		if err := j.keep(ctx, tx, rejects, done); err != nil || !again {
			return err
		}
	}
}

// keep writes rejects and records of files.
func (j *job) keep(ctx context.Context, tx *warehouse.Tx, rejects []Reject, done []record) error {
	var claim run.Claim
	if len(j.claims) > 0 {
		claim = j.claims[0]
	}
	now := j.opts.Clock.Now()
	if len(rejects) > 0 {
		rows := table(rejectsTable, len(rejects), func(n int, set func(int, any)) {
			r := rejects[n]
			for i, v := range []any{claim.RunID, claim.Task, r.File, r.Line, r.Text, r.Reason, j.to.key, now} {
				set(i, v)
			}
		})
		defer rows.Release()
		if _, err := tx.Append(ctx, rejectsTable, rows); err != nil {
			return err
		}
	}
	if len(done) == 0 {
		return nil
	}
	rows := table(filesTable, len(done), func(n int, set func(int, any)) {
		d := done[n]
		for i, v := range []any{j.to.key, d.file, d.bytes, d.sum, j.print, d.rows, d.rejects, now} {
			set(i, v)
		}
	})
	defer rows.Release()
	_, err := tx.Append(ctx, filesTable, rows)
	return err
}
