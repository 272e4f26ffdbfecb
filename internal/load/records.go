package load

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
)

// Damson's own tables that a load keeps, in the warehouse beside the rows, so that they commit together.
const (
	filesTable   = "damson.loaded_files" // what each target holds
	rejectsTable = warehouse.Rejects     // lines that could not become rows
	targetsTable = "damson.load_targets" // a row per target, which a load changes first: two at once get in each other's way
)

var ownTables = map[string][]driver.Column{
	filesTable: {
		{Name: "target", Type: driver.Text}, {Name: "file", Type: driver.Text}, {Name: "bytes", Type: driver.Bigint},
		{Name: "xxh3", Type: driver.Text}, {Name: "spec", Type: driver.Text}, {Name: "rows_loaded", Type: driver.Bigint},
		{Name: "rejects", Type: driver.Bigint}, {Name: "loaded_at", Type: driver.Timestamp},
	},
	rejectsTable: {
		{Name: "run_id", Type: driver.Text}, {Name: "task", Type: driver.Text}, {Name: "file", Type: driver.Text},
		{Name: "line", Type: driver.Bigint}, {Name: "text", Type: driver.Text}, {Name: "reason", Type: driver.Text},
		{Name: "target", Type: driver.Text}, {Name: "at", Type: driver.Timestamp},
	},
	targetsTable: {{Name: "target", Type: driver.Text}, {Name: "loads", Type: driver.Bigint}},
}

// record is what a target holds of one file.
type record struct {
	file    string
	bytes   int64
	sum     string // XXH3 of the file as it lies on the disk, 128 bits in hexadecimal
	spec    string // of the load that read it, see fingerprint
	rows    int64
	rejects int64
}

// target is the table that a load writes.
type target struct {
	into string // as the user wrote it
	key  string // as Damson's own tables have it: schema.table, folded
	sql  string // quoted
}

func newTarget(into string) (target, error) {
	schema, name, err := sqltext.ParseName(into)
	if err != nil {
		return target{}, diag.Finding{Summary: "Bad table name", Detail: err.Error() + ".", Cause: err}
	}
	t := target{into: into, key: name, sql: sqltext.QuoteIdent(name)}
	if schema != "" {
		t.key, t.sql = schema+"."+name, sqltext.QuoteIdent(schema)+"."+t.sql
	}
	return t, nil
}

// plain is SQL of this package's own.
func plain(format string, args ...any) sqltext.Text {
	return sqltext.Plain("", fmt.Sprintf(format, args...))
}

// makeTables makes Damson's own tables, or adds the columns that an older version's lack.
func makeTables(ctx context.Context, tx *warehouse.Tx) error {
	for _, name := range []string{filesTable, rejectsTable, targetsTable} {
		want := ownTables[name]
		have, err := tx.Table(ctx, name)
		if err != nil {
			return err
		}
		if have == nil {
			if err := tx.CreateTable(ctx, name, want, pipeline.Storage{}); err != nil {
				return err
			}
			if name == targetsTable {
				if _, err := tx.Exec(ctx, plain("insert into %s (target, loads) values ('', 0)", name)); err != nil {
					return err
				}
			}
			continue
		}
		names := strings.Join(columnNames(have), "\n")
		for _, c := range want {
			if !strings.Contains("\n"+names+"\n", "\n"+c.Name+"\n") {
				if _, err := tx.Exec(ctx, plain("alter table %s add column %s %s", name, sqltext.QuoteIdent(c.Name), c.Type)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// records reads what the target holds, by file.
func records(ctx context.Context, tx *warehouse.Tx, to target) (map[string]*record, error) {
	r, err := tx.Query(ctx, plain("select file, xxh3, spec, bytes, rows_loaded, rejects from %s where target = %s",
		filesTable, sqltext.QuoteLiteral(to.key)))
	if err != nil {
		return nil, err
	}
	defer r.Release()
	known := map[string]*record{}
	for r.Next() {
		b := r.RecordBatch()
		text := func(column, row int) string {
			return strings.Clone(b.Column(column).(interface{ Value(int) string }).Value(row))
		}
		number := func(column, row int) int64 { return b.Column(column).(*array.Int64).Value(row) }
		for i := range int(b.NumRows()) {
			rec := &record{file: text(0, i), sum: text(1, i), spec: text(2, i), bytes: number(3, i), rows: number(4, i), rejects: number(5, i)}
			known[rec.file] = rec
		}
	}
	return known, r.Err()
}

// forget takes away what the target holds of the files: rows, rejects and records.
func forget(ctx context.Context, tx *warehouse.Tx, to target, column string, files []string) error {
	const most = 1000 // names in one statement
	for len(files) > 0 {
		n := min(most, len(files))
		quotedNames := make([]string, n)
		for i, name := range files[:n] {
			quotedNames[i] = sqltext.QuoteLiteral(name)
		}
		files = files[n:]
		list := strings.Join(quotedNames, ", ")
		if _, err := tx.Exec(ctx, plain("delete from %s where %s in (%s)", to.sql, sqltext.QuoteIdent(column), list)); err != nil {
			return err
		}
		for _, table := range []string{filesTable, rejectsTable} {
			if _, err := tx.Exec(ctx, plain("delete from %s where target = %s and file in (%s)", table, sqltext.QuoteLiteral(to.key), list)); err != nil {
				return err
			}
		}
	}
	return nil
}

// claimTarget changes the target's row, so that of two loads into it at once one has to wait or begin again. First loads,
// whose target has no row yet, meet at the row of the target without a name. It relies on transactions that see one state
// of the database from their first statement on: who gets by here after waiting must not have read the records before.
func claimTarget(ctx context.Context, tx *warehouse.Tx, to target) error {
	update := "update " + targetsTable + " set loads = loads + 1 where target = %s"
	name := sqltext.QuoteLiteral(to.key)
	n, err := tx.Exec(ctx, plain(update, name))
	if err != nil || n > 0 {
		return err
	}
	if _, err := tx.Exec(ctx, plain(update, "''")); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, plain("insert into %s (target, loads) values (%s, 1)", targetsTable, name))
	return err
}

// table builds the rows of one of Damson's own tables.
func table(name string, rows int, fill func(row int, set func(column int, value any))) array.RecordReader {
	l := &layout{columns: ownTables[name]}
	b := newBatch(l, max(rows, 1))
	for n := range rows {
		fill(n, func(column int, value any) {
			switch v := value.(type) {
			case string:
				setString(b.columns[column], n, v)
			case int64:
				b.columns[column].words[n] = v
			case time.Time:
				b.columns[column].words[n] = v.UnixMicro()
			}
		})
		b.rows++
	}
	batch := b.record(l.schema())
	defer batch.Release()
	reader, err := array.NewRecordReader(l.schema(), []arrow.RecordBatch{batch})
	if err != nil {
		panic("load: a table's own schema does not fit it: " + err.Error())
	}
	return reader
}
