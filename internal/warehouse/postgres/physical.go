package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/rows"
)

// formats are how Greenplum stores a table, by pipeline.Storage.Format.
var formats = map[string]string{
	"column": " WITH (appendonly=true, orientation=column, compresstype=zstd, compresslevel=1)",
	"row":    " WITH (appendonly=true, compresstype=zstd, compresslevel=1)",
}

// CreateTable implements driver.Physical.
func (w *Warehouse) CreateTable(table driver.Name, definitions, partitionBy string, s pipeline.Storage, first driver.Part) []string {
	sql := "CREATE TABLE " + quote(table) + " (" + definitions + ")"
	column := sqltext.QuoteIdent(partitionBy)
	if w.server.kind == greenplum {
		sql += formats[s.Format] + distributed(s.DistributedBy)
		if partitionBy != "" {
			sql += " PARTITION BY RANGE (" + column + ") (PARTITION " + sqltext.QuoteIdent(partName(first)) + " " + classicBounds(first, false) + ")"
		}
		return []string{sql}
	}
	if partitionBy != "" {
		sql += " PARTITION BY RANGE (" + column + ")"
	}
	statements := []string{sql}
	for _, columns := range s.Indexes {
		statements = append(statements, "CREATE INDEX ON "+quote(table)+" ("+quoteAll(columns)+")")
	}
	return statements
}

// distributed is Greenplum's clause about how rows are spread; without one it chooses.
func distributed(by []string) string {
	switch {
	case len(by) == 0:
		return ""
	case by[0] == pipeline.Randomly:
		return " DISTRIBUTED RANDOMLY"
	}
	return " DISTRIBUTED BY (" + quoteAll(by) + ")"
}

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = sqltext.QuoteIdent(n)
	}
	return strings.Join(quoted, ", ")
}

// partName is the name of a partition in Greenplum's syntax, and the end of its table's name in PostgreSQL's.
func partName(p driver.Part) string {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, strings.TrimSuffix(p.From, " 00:00:00"))
	return "p" + digits
}

// maxName is the length of a name, in bytes.
const maxName = 63

// partTable is the table that a new partition gets in PostgreSQL.
func partTable(table driver.Name, p driver.Part) driver.Name {
	end := "_" + partName(p)
	base := table.Table[:min(len(table.Table), maxName-len(end))]
	return driver.Name{Schema: table.Schema, Table: strings.ToValidUTF8(base, "") + end}
}

// nativeBounds gives a partition's bounds in PostgreSQL's syntax.
func nativeBounds(p driver.Part, list bool) string {
	if list {
		return "FOR VALUES IN (" + sqltext.QuoteLiteral(p.From) + ")"
	}
	return "FOR VALUES FROM (" + sqltext.QuoteLiteral(p.From) + ") TO (" + sqltext.QuoteLiteral(p.To) + ")"
}

// literal is a bound with its type, which Greenplum's syntax wants.
func literal(bound string) string {
	if strings.Contains(bound, ":") {
		return "timestamp " + sqltext.QuoteLiteral(bound)
	}
	return "date " + sqltext.QuoteLiteral(bound)
}

// classicBounds gives a partition's bounds in Greenplum's syntax.
func classicBounds(p driver.Part, list bool) string {
	if list {
		return "VALUES (" + literal(p.From) + ")"
	}
	return "START (" + literal(p.From) + ") INCLUSIVE END (" + literal(p.To) + ") EXCLUSIVE"
}

// AddPart implements driver.Physical. In PostgreSQL a table is made first and attached then: that stops neither readers nor
// writers, where PARTITION OF would stop both.
func (w *Warehouse) AddPart(ctx context.Context, q driver.Querier, table driver.Name, l *driver.Layout, p driver.Part) error {
	if w.server.kind == greenplum {
		return execAll(ctx, q, "ALTER TABLE "+quote(table)+" ADD PARTITION "+sqltext.QuoteIdent(partName(p))+" "+classicBounds(p, l.List))
	}
	part := partTable(table, p)
	return execAll(ctx, q,
		"CREATE TABLE "+quote(part)+" (LIKE "+quote(table)+" INCLUDING ALL EXCLUDING IDENTITY)",
		"ALTER TABLE "+quote(table)+" ATTACH PARTITION "+quote(part)+" "+nativeBounds(p, l.List))
}

func execAll(ctx context.Context, q driver.Querier, statements ...string) error {
	for _, sql := range statements {
		if _, err := q.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// boundsCheck says that a staged table's rows belong to its partition, so that attaching it needs no look at them under a lock.
const boundsCheck = "damson_bounds"

// Stage implements driver.Physical.
func (w *Warehouse) Stage(ctx context.Context, q driver.Querier, table driver.Name, l *driver.Layout, p driver.Part, s pipeline.Storage) (driver.Name, error) {
	sum := sha256.Sum256([]byte(quote(table) + " " + p.From))
	staged := driver.Name{Schema: table.Schema, Table: fmt.Sprintf("damson_stage_%x", sum[:6])}
	if w.server.kind == greenplum {
		return staged, execAll(ctx, q, "CREATE TABLE "+quote(staged)+" (LIKE "+quote(table)+")"+formats[s.Format])
	}
	column := sqltext.QuoteIdent(l.Column)
	return staged, execAll(ctx, q,
		"CREATE TABLE "+quote(staged)+" (LIKE "+quote(table)+" INCLUDING ALL EXCLUDING IDENTITY)",
		"ALTER TABLE "+quote(staged)+" ADD CONSTRAINT "+boundsCheck+" CHECK ("+column+" IS NOT NULL AND "+
			column+" >= "+literal(p.From)+" AND "+column+" < "+literal(p.To)+")")
}

// Exchange implements driver.Physical. Its lock is held until the transaction ends, which is soon: this is its last work.
func (w *Warehouse) Exchange(ctx context.Context, q driver.Querier, table driver.Name, l *driver.Layout, p driver.Part, staged driver.Name) (bool, error) {
	const savepoint = "damson_exchange"
	if err := execAll(ctx, q, "ANALYZE "+quote(staged), "SAVEPOINT "+savepoint); err != nil {
		return false, err
	}
	if p.Table.Table != "" || w.server.kind == greenplum {
		_, err := q.Exec(ctx, "LOCK TABLE "+quote(table)+" IN ACCESS EXCLUSIVE MODE NOWAIT")
		if e := (*driver.Error)(nil); errors.As(err, &e) && e.Code == "55P03" {
			return false, execAll(ctx, q, "ROLLBACK TO SAVEPOINT "+savepoint)
		}
		if err != nil {
			return false, err
		}
	}
	if w.server.kind == greenplum {
		return true, w.exchangeClassic(ctx, q, table, l, p, staged)
	}
	return true, exchangeNative(ctx, q, table, l, p, staged)
}

func (w *Warehouse) exchangeClassic(ctx context.Context, q driver.Querier, table driver.Name, l *driver.Layout, p driver.Part, staged driver.Name) error {
	if p.Table.Table == "" {
		if err := w.AddPart(ctx, q, table, l, p); err != nil {
			return err
		}
	}
	return execAll(ctx, q,
		"ALTER TABLE "+quote(table)+" EXCHANGE PARTITION FOR ("+literal(p.From)+") WITH TABLE "+quote(staged),
		"DROP TABLE "+quote(staged))
}

func exchangeNative(ctx context.Context, q driver.Querier, table driver.Name, l *driver.Layout, p driver.Part, staged driver.Name) error {
	var statements []string
	name := partTable(table, p)
	if p.Table.Table != "" {
		name = p.Table
		statements = append(statements, "ALTER TABLE "+quote(table)+" DETACH PARTITION "+quote(p.Table), "DROP TABLE "+quote(p.Table))
	}
	statements = append(statements,
		"ALTER TABLE "+quote(table)+" ATTACH PARTITION "+quote(staged)+" "+nativeBounds(p, l.List),
		"ALTER TABLE "+quote(staged)+" DROP CONSTRAINT "+boundsCheck)
	if name.Schema != staged.Schema {
		statements = append(statements, "ALTER TABLE "+quote(staged)+" SET SCHEMA "+sqltext.QuoteIdent(name.Schema))
		staged.Schema = name.Schema
	}
	return execAll(ctx, q, append(statements, "ALTER TABLE "+quote(staged)+" RENAME TO "+sqltext.QuoteIdent(name.Table))...)
}

// A table's statistics are gathered anew when this share of its rows has changed at once, or when it has grown so much since they
// were gathered. Gathering them takes as long as writing some ten thousand rows does: a table to which each day adds as much as
// the day before would spend on it, at autovacuum's share of 0.1, half of its first days' time again.
const (
	worthIt = 0.5
	grown   = 2
)

// statisticsSQL asks what the statistics of $table have been gathered from, its partitions' together: rows, pages then, pages now.
// A partitioned table has no pages of its own; its rows are those of its own statistics, and 0 on PostgreSQL 13.
const statisticsSQL = `SELECT CAST(greatest(max(CASE WHEN c.oid = t.oid THEN c.reltuples END), 0) AS float8),
	CAST(sum(CASE WHEN c.relkind = 'p' THEN 0 ELSE c.relpages END) AS float8),
	CAST(sum(CASE WHEN c.relkind = 'p' THEN 0 ELSE pg_catalog.pg_relation_size(c.oid) END) AS float8) / CAST(current_setting('block_size') AS float8),
	CAST(sum(CASE WHEN c.oid <> t.oid THEN greatest(c.reltuples, 0) ELSE 0 END) AS float8)
FROM (SELECT CAST($table::regclass AS oid) AS oid) AS t
JOIN pg_catalog.pg_class AS c ON c.oid = t.oid OR c.oid IN (SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = t.oid)`

// look is what a table was when its columns were last asked for.
type look struct {
	plain                  bool // a table of PostgreSQL's without partitions; the rest holds for such only
	have, pagesThen, pages float64
}

// readLook reads what the rows of tableSQL say of the table itself.
func (w *Warehouse) readLook(rows [][]string) look {
	if len(rows) == 0 || rows[0][5] != "r" || w.server.kind == greenplum {
		return look{}
	}
	number := func(s string) float64 { n, _ := strconv.ParseFloat(s, 64); return n } // what is no number is nothing to go by
	return look{plain: true, have: max(number(rows[0][6]), 0), pagesThen: number(rows[0][7]), pages: number(rows[0][8])}
}

// noteLook keeps a look at a table for Analyze and Layout.
func (w *Warehouse) noteLook(table driver.Name, l look) {
	if !l.plain {
		w.looks.Delete(table)
		return
	}
	w.looks.Store(table, l)
}

func (w *Warehouse) lookAt(table driver.Name) look {
	l, _ := w.looks.Load(table)
	known, _ := l.(look)
	return known
}

// Analyze implements driver.Physical. Autovacuum comes too late for the next task of a pipeline, and Greenplum has none.
func (w *Warehouse) Analyze(ctx context.Context, q driver.Querier, table driver.Name, changed int64) error {
	if changed == 0 {
		return nil
	}
	outdated := false
	if l := w.lookAt(table); l.plain {
		outdated = float64(changed) >= worthIt*l.have || l.pages >= grown*l.pagesThen
	} else {
		var err error
		if outdated, err = w.outdated(ctx, q, table, float64(changed)); err != nil {
			return err
		}
	}
	if !outdated {
		return nil
	}
	if w.server.kind == greenplum {
		return execAll(ctx, q, "ANALYZE "+quote(table))
	}
	return execAll(ctx, q, "ANALYZE (SKIP_LOCKED) "+quote(table)) // the task is done: it waits for nobody's VACUUM
}

// outdated asks the catalog about a table and its partitions.
func (w *Warehouse) outdated(ctx context.Context, q driver.Querier, table driver.Name, changed float64) (bool, error) {
	r, err := q.Query(ctx, strings.ReplaceAll(statisticsSQL, "$table", sqltext.QuoteLiteral(quote(table))))
	if err != nil {
		return false, err
	}
	row, err := rows.ReadOne(r)
	if err != nil {
		return false, err
	}
	number := func(i int) float64 { n, _ := row[i].(float64); return n }
	have, pagesThen, pages, parts := number(0), number(1), number(2), number(3)
	return changed >= worthIt*max(have, parts) || pages > 0 && pages >= grown*pagesThen || parts >= grown*have && have > 0, nil
}

// Layout implements driver.Physical.
func (w *Warehouse) Layout(ctx context.Context, q driver.Querier, table driver.Name) (*driver.Layout, error) {
	if t, ok := q.(*tx); ok && t.plain == table {
		return nil, nil
	}
	sql := nativeLayout
	if w.server.oldGreenplum() {
		sql = classicLayout
	}
	r, err := q.Query(ctx, strings.ReplaceAll(sql, "$table", sqltext.QuoteLiteral(quote(table))))
	if err != nil {
		return nil, err
	}
	all, err := rows.ReadAll(r)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return readLayout(all), nil
}

// nativeLayout asks, for each partition of a table: column, its type, list or range, schema, table, whether it is cut again, and
// its bounds. A table without partitions gives one row without a partition.
const nativeLayout = `SELECT a.attname::text, pg_catalog.format_type(a.atttypid, NULL), p.partstrat::text, n.nspname::text, c.relname::text,
	coalesce(c.relkind = 'p', false), coalesce(pg_catalog.pg_get_expr(c.relpartbound, c.oid), '')
FROM pg_catalog.pg_partitioned_table AS p
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
LEFT JOIN (pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
	JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace) ON i.inhparent = p.partrelid
WHERE p.partrelid = $table::regclass AND p.partnatts = 1 AND p.partstrat IN ('r', 'l')`

// classicLayout asks Greenplum 6 the same; it writes the bounds as the others do.
const classicLayout = `SELECT k.columnname::text, pg_catalog.format_type(a.atttypid, NULL), left(p.partitiontype, 1), p.partitionschemaname::text,
	p.partitiontablename::text, EXISTS (SELECT 1 FROM pg_catalog.pg_partitions AS s WHERE s.schemaname = p.schemaname
		AND s.tablename = p.tablename AND s.partitionlevel > 0),
	CASE WHEN p.partitionisdefault THEN 'DEFAULT' WHEN p.partitiontype = 'list' THEN 'FOR VALUES IN (' || p.partitionlistvalues || ')'
		WHEN p.partitionstartinclusive AND NOT p.partitionendinclusive
		THEN 'FOR VALUES FROM (' || p.partitionrangestart || ') TO (' || p.partitionrangeend || ')' ELSE '' END
FROM pg_catalog.pg_partitions AS p
JOIN pg_catalog.pg_partition_columns AS k ON k.schemaname = p.schemaname AND k.tablename = p.tablename AND k.partitionlevel = 0
JOIN pg_catalog.pg_namespace AS n ON n.nspname = p.schemaname
JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = p.tablename
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = k.columnname
WHERE c.oid = $table::regclass AND p.partitionlevel = 0`

// bound is one bound or value as pg_get_expr and pg_partitions write it: '2007-04-12', '2007-04-12'::date, MINVALUE.
const bound = `(?:'([^']*)'(?:::[a-z ]+)?|(?:MINVALUE|MAXVALUE))`

var (
	rangeBounds = regexp.MustCompile(`^FOR VALUES FROM \(` + bound + `\) TO \(` + bound + `\)$`)
	listBounds  = regexp.MustCompile(`^FOR VALUES IN \(` + bound + `\)$`)
)

// readLayout reads the rows of nativeLayout or classicLayout. It gives nil for a table that is cut in a way that an interval
// cannot have a partition of: by other values than dates and timestamps, at two levels, with several values to a list.
func readLayout(all [][]any) *driver.Layout {
	text := func(v any) string { s, _ := v.(string); return s }
	l := &driver.Layout{Column: text(all[0][0]), List: text(all[0][2]) == "l"}
	switch text(all[0][1]) {
	case "date":
		l.Type = driver.Date
	case "timestamp without time zone", "timestamp with time zone":
		l.Type = driver.Timestamp
	default:
		return nil
	}
	if l.List && l.Type != driver.Date {
		return nil
	}
	for _, row := range all {
		table := driver.Name{Schema: text(row[3]), Table: text(row[4])}
		if table.Table == "" {
			continue // no partition yet
		}
		if again, _ := row[5].(bool); again {
			return nil
		}
		if text(row[6]) == "DEFAULT" {
			l.Default = table.Table
			continue
		}
		p, ok := readPart(text(row[6]), l.List)
		if !ok {
			return nil
		}
		p.Table = table
		l.Parts = append(l.Parts, p)
	}
	return l
}

func readPart(bounds string, list bool) (driver.Part, bool) {
	if list {
		m := listBounds.FindStringSubmatch(bounds)
		if m == nil || m[1] == "" {
			return driver.Part{}, false
		}
		day, err := time.Parse(time.DateOnly, m[1])
		return driver.Part{From: m[1], To: day.AddDate(0, 0, 1).Format(time.DateOnly)}, err == nil
	}
	m := rangeBounds.FindStringSubmatch(bounds)
	if m == nil {
		return driver.Part{}, false
	}
	return driver.Part{From: strings.TrimSuffix(m[1], "+00"), To: strings.TrimSuffix(m[2], "+00")}, true
}
