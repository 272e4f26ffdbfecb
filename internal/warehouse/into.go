package warehouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"damson/internal/diag"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

// Interval is a data interval: Start belongs to it, End does not. Zero width means the moment Start. The zone of Start decides
// which dates it has.
type Interval struct{ Start, End time.Time }

// Written tells what Into did.
type Written struct {
	Rows     int64 `json:"rows"`               // rows the SELECT gave, all of them now in the table
	Replaced int64 `json:"replaced,omitempty"` // rows that made way for them
	Created  bool  `json:"created,omitempty"`  // the table did not exist before
}

// Into writes the rows of a SELECT into the target's table, which it makes from the SELECT's columns when it is absent.
//
// Replace with PartitionBy replaces the data interval's rows: on a date column the days from Start's to before End's, at
// least Start's day; on a timestamp column the moments from Start to before End, in UTC. A row of the SELECT outside of that is an
// error. Replace without PartitionBy replaces all rows, Append adds, and Merge replaces the rows that have the same keys.
//
// Columns match by name. A SELECT whose columns or types differ from the table's is an error, except that NewColumns lets
// it add columns.
func (tx *Tx) Into(ctx context.Context, sel sqltext.Text, target pipeline.Target, interval Interval) (Written, error) {
	in, err := tx.prepareInto(ctx, sel, target, interval)
	if err != nil {
		return Written{}, err
	}
	err = in.write(ctx)
	return in.written, err
}

// prepareInto checks an Into and makes its table ready.
func (tx *Tx) prepareInto(ctx context.Context, sel sqltext.Text, target pipeline.Target, interval Interval) (*into, error) {
	one, err := single(sel)
	if err != nil {
		return nil, err
	}
	name, err := parseName(target.Into)
	if err != nil {
		return nil, err
	}
	columns, err := tx.describeAgain(one.SQL(), func() ([]driver.Column, error) { return tx.w.driver.Describe(ctx, tx.tx, one.SQL()) })
	if err != nil {
		return nil, finding(one, err)
	}
	if err := checkColumns(one, columns); err != nil {
		return nil, err
	}
	in := &into{tx: tx, sel: one, target: target, name: name, columns: columns}
	if err := in.check(interval); err != nil {
		return nil, err
	}
	if err := in.prepareTable(ctx); err != nil {
		return nil, err
	}
	return in, nil
}

// into is one call of Into.
type into struct {
	tx      *Tx
	sel     sqltext.Text // one SELECT
	target  pipeline.Target
	name    driver.Name
	columns []driver.Column // of the SELECT
	names   []string        // the table's names of these columns, which may differ in letter case
	keys    []string        // the SELECT's names of the columns to merge on
	part    *partition      // nil: no PartitionBy that matters
	written Written
}

func (in *into) finding(summary, detail, fix string) diag.Finding {
	return diag.Finding{Severity: diag.Error, At: place(in.sel, -1), Summary: summary, Detail: detail, Fix: fix}
}

// own is the finding of a statement that Damson wrote for the SELECT: its own place of an error is none in the user's file.
func (in *into) own(err error) error {
	e := (*driver.Error)(nil)
	if errors.As(err, &e) && e.Position >= 0 {
		unplaced := *e
		unplaced.Position = -1
		err = &unplaced
	}
	return finding(in.sel, err)
}

// checkColumns refuses columns that a table cannot have.
func checkColumns(sel sqltext.Text, columns []driver.Column) error {
	seen := map[string]bool{}
	for _, c := range columns {
		key := strings.ToLower(c.Name)
		if seen[key] {
			return diag.Finding{
				Severity: diag.Error,
				At:       place(sel, -1),
				Summary:  "Two columns of one name",
				Detail:   fmt.Sprintf("The SELECT gives the column %q twice; a table has a name once.", c.Name),
				Fix:      "Name one of them differently with AS, or leave one out.",
			}
		}
		seen[key] = true
	}
	return nil
}

// check refuses a target that does not go with the SELECT's columns.
func (in *into) check(interval Interval) error {
	switch in.target.Mode {
	case pipeline.Replace, "":
		if in.target.PartitionBy == "" {
			return nil
		}
		c, err := in.column(in.target.PartitionBy, "partition_by")
		if err != nil {
			return err
		}
		in.part, err = newPartition(c, interval)
		if err != nil {
			return in.finding("No partition", err.Error(), "Partition by a date column, or give the pipeline a schedule.")
		}
	case pipeline.Append:
	case pipeline.Merge:
		if len(in.target.Keys) == 0 {
			return in.finding("No keys to merge on", "mode merge replaces the rows that have the same keys, and no keys are named.", "Add keys = [\"…\"].")
		}
		in.keys = make([]string, len(in.target.Keys))
		for i, key := range in.target.Keys {
			c, err := in.column(key, "keys")
			if err != nil {
				return err
			}
			in.keys[i] = c.Name
		}
	default:
		return in.finding("Unknown mode", fmt.Sprintf("There is no mode %q.", in.target.Mode), `Use "replace", "append" or "merge".`)
	}
	return nil
}

// column gives the SELECT's column of that name.
func (in *into) column(name, setting string) (driver.Column, error) {
	names := make([]string, len(in.columns))
	for i, c := range in.columns {
		if strings.EqualFold(c.Name, name) {
			return c, nil
		}
		names[i] = c.Name
	}
	fix := diag.DidYouMean(name, names)
	if fix == "" {
		fix = "Add the column to the SELECT."
	}
	return driver.Column{}, in.finding("Unknown column in "+setting,
		fmt.Sprintf("%s names the column %q, and the SELECT gives %s.", setting, name, strings.Join(names, ", ")), fix)
}

// prepareTable makes the table, or finds that it fits the SELECT.
func (in *into) prepareTable(ctx context.Context) error {
	have, err := in.tx.recall("table "+quoted(in.name), func() ([]driver.Column, error) { return in.tx.w.driver.Table(ctx, in.tx.tx, in.name) })
	if err != nil {
		return in.own(err)
	}
	in.names = make([]string, len(in.columns))
	for i, c := range in.columns {
		in.names[i] = c.Name
	}
	if have == nil {
		in.written.Created = true
		return in.own(in.createTable(ctx))
	}
	d := compare(have, in.columns, in.names)
	if d.none() {
		return nil
	}
	if !in.target.NewColumns || !d.onlyAdds() {
		return in.finding("The columns have changed", d.describe(in.name), d.fix())
	}
	in.tx.change()
	for _, c := range d.added {
		sql := "ALTER TABLE " + quoted(in.name) + " ADD COLUMN " + sqltext.QuoteIdent(c.Name) + " " + sqlTypes[c.Type]
		if _, err := in.tx.tx.Exec(ctx, sql); err != nil {
			return in.own(madeMeanwhile(err, func() bool { return in.hasNow(ctx, c.Name) }))
		}
	}
	return nil
}

// hasNow reports whether the table has a column by now, past the transaction, which sees an older state.
func (in *into) hasNow(ctx context.Context, name string) bool {
	columns, err := in.tx.w.driver.Table(ctx, in.tx.w.driver, in.name)
	return err == nil && slices.ContainsFunc(columns, func(c driver.Column) bool { return strings.EqualFold(c.Name, name) })
}

// createTable makes the table: cut by the database where that is declared, else with an index, where the database has any, by
// which an interval's rows are found among those of all others.
func (in *into) createTable(ctx context.Context) error {
	partitionBy, first, storage := "", driver.Part{}, in.target.Storage
	switch {
	case in.part == nil:
	case storage.Native != "":
		partitionBy, first = in.part.column.Name, firstPart(storage.Native, in.part.column, in.part.start)
	case !slices.ContainsFunc(storage.Indexes, func(columns []string) bool { return strings.EqualFold(columns[0], in.part.column.Name) }):
		storage.Indexes = append([][]string{{in.part.column.Name}}, storage.Indexes...)
	}
	return in.tx.createTable(ctx, in.name, in.columns, partitionBy, storage, first)
}

func (in *into) write(ctx context.Context) error {
	err := in.writeRows(ctx)
	if p := in.tx.w.physical(); err == nil && p != nil {
		in.tx.after = append(in.tx.after, func(ctx context.Context) {
			// The rows are committed, and right without statistics.
			_ = p.Analyze(ctx, in.tx.w.driver, in.name, in.written.Rows+in.written.Replaced)
		})
	}
	return err
}

func (in *into) writeRows(ctx context.Context) error {
	switch in.target.Mode {
	case pipeline.Merge:
		return in.merge(ctx)
	case pipeline.Append:
		return in.insert(ctx, in.name)
	}
	n, err := in.newNative(ctx)
	switch {
	case err != nil:
		return err
	case n != nil:
		return n.write(ctx, in)
	}
	return in.replace(ctx)
}

// replace replaces the rows of the partition, or all of them.
func (in *into) replace(ctx context.Context) error {
	if in.written.Created {
		return in.insert(ctx, in.name)
	}
	where := ""
	if in.part != nil {
		where = " WHERE " + in.insideTable()
	}
	n, err := in.tx.tx.Exec(ctx, "DELETE FROM "+quoted(in.name)+where)
	if err != nil {
		return in.own(err)
	}
	in.written.Replaced = max(n, 0)
	return in.insert(ctx, in.name)
}

// insert adds the SELECT's rows to a table that has the target's columns.
func (in *into) insert(ctx context.Context, table driver.Name) error {
	values := make([]string, len(in.columns))
	for i, c := range in.columns {
		values[i] = sqltext.QuoteIdent(c.Name)
		if in.part != nil && c.Name == in.part.column.Name {
			values[i] = in.part.guard()
		}
	}
	var b sqltext.Builder
	b.Add("INSERT INTO " + quoted(table) + " (" + in.columnList() + ") SELECT " + strings.Join(values, ", ") + " FROM (\n")
	b.Append(in.sel)
	b.Add("\n) AS damson_source")
	text := b.Text()
	n, err := in.tx.tx.Exec(ctx, text.SQL())
	if err != nil {
		if in.part != nil && in.part.isOutside(err) {
			return in.outside(ctx, err)
		}
		return finding(text, err)
	}
	in.written.Rows = max(n, 0)
	return nil
}

// inTable gives the table's name of a column of the SELECT.
func (in *into) inTable(name string) string {
	return in.names[slices.IndexFunc(in.columns, func(c driver.Column) bool { return c.Name == name })]
}

// insideTable is the condition that a row of the table belongs to the partition.
func (in *into) insideTable() string { return in.part.inside(in.inTable(in.part.column.Name)) }

// columnList gives the table's names of the SELECT's columns.
func (in *into) columnList() string {
	quoted := make([]string, len(in.names))
	for i, n := range in.names {
		quoted[i] = sqltext.QuoteIdent(n)
	}
	return strings.Join(quoted, ", ")
}

// merge puts the SELECT's rows into a temporary table, so that they can be looked at twice, and from there in place of
// those with the same keys.
func (in *into) merge(ctx context.Context) error {
	temp := "damson_merge_" + strings.ReplaceAll(in.name.Table, `"`, "")
	var b sqltext.Builder
	b.Add("CREATE TEMPORARY TABLE " + sqltext.QuoteIdent(temp) + " AS SELECT * FROM (\n")
	b.Append(in.sel)
	b.Add("\n) AS damson_source")
	text := b.Text()
	if _, err := in.tx.tx.Exec(ctx, text.SQL()); err != nil {
		return finding(text, err)
	}
	if err := in.checkKeys(ctx, temp); err != nil {
		return err
	}
	target, source := quoted(in.name), sqltext.QuoteIdent(temp)
	same := make([]string, len(in.keys))
	for i, key := range in.keys {
		same[i] = target + "." + sqltext.QuoteIdent(in.inTable(key)) + " = " + source + "." + sqltext.QuoteIdent(key)
	}
	selected := make([]string, len(in.columns))
	for i, c := range in.columns {
		selected[i] = sqltext.QuoteIdent(c.Name)
	}
	for _, step := range []struct {
		sql   string
		count *int64
	}{
		{"DELETE FROM " + target + " USING " + source + " WHERE " + strings.Join(same, " AND "), &in.written.Replaced},
		{"INSERT INTO " + target + " (" + in.columnList() + ") SELECT " + strings.Join(selected, ", ") + " FROM " + source, &in.written.Rows},
		{"DROP TABLE " + source, new(int64)},
	} {
		n, err := in.tx.tx.Exec(ctx, step.sql)
		if err != nil {
			return in.own(err)
		}
		*step.count = max(n, 0)
	}
	return nil
}

// checkKeys refuses keys that are NULL, which equal nothing and would be added again by each run, and keys that come twice.
func (in *into) checkKeys(ctx context.Context, temp string) error {
	keys := make([]string, len(in.keys))
	nulls := make([]string, len(keys))
	shown := make([]string, len(keys))
	for i, key := range in.keys {
		keys[i] = sqltext.QuoteIdent(key)
		nulls[i] = keys[i] + " IS NULL"
		shown[i] = sqltext.QuoteLiteral(key+" = ") + " || COALESCE(CAST(" + keys[i] + " AS text), 'NULL')"
	}
	source := sqltext.QuoteIdent(temp)
	some := strings.Join(shown, " || ', ' || ")
	count, example, err := in.ask(ctx, in.tx.tx, "SELECT count(*), min("+some+") FROM "+source+" WHERE "+strings.Join(nulls, " OR "))
	if err != nil {
		return err
	}
	if count > 0 {
		return in.finding("A key is NULL", fmt.Sprintf("%s of the SELECT %s NULL in a key, for example %s; NULL equals nothing, so the row could never be replaced.",
			plural(count, "row"), have(count), example), "Leave such rows out, or give the key a value with COALESCE.")
	}
	count, example, err = in.ask(ctx, in.tx.tx, "SELECT count(*), min(example) FROM (SELECT "+some+" AS example FROM "+source+
		" GROUP BY "+strings.Join(keys, ", ")+" HAVING count(*) > 1) AS damson_twice")
	if err != nil {
		return err
	}
	if count > 0 {
		return in.finding("A key comes twice", fmt.Sprintf("%s in more than one row of the SELECT, for example %s; the table can keep only one of them.",
			plural(count, "key")+map[bool]string{true: " comes", false: " come"}[count == 1], example), "Let the SELECT give one row for each key, or name more keys.")
	}
	return nil
}
