package postgres

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/postgres/wire"
)

// conn is one connection. It runs one statement at a time, and a statement that streams its rows runs until its reader has
// come to their end or is released.
type conn struct {
	w       *Warehouse
	pooled  *pgxpool.Conn
	pg      *pgconn.PgConn
	reading *reader // the open stream, if any
	used    bool    // the session may differ from a fresh one
	altered bool    // and surely does
}

// cleanPatience bounds the cleaning of a session.
const cleanPatience = 5 * time.Second

// dirty reports whether the session has to be cleaned.
func (c *conn) dirty() bool { return c.used && !c.pg.IsClosed() }

// clean makes the session as it began, or closes it. What a SELECT's functions leave behind cannot be seen in its text, so
// PostgreSQL, where cleaning costs one round trip, cleans after every statement. Greenplum does not take DISCARD ALL: there
// a session ends that a statement has visibly altered.
func (c *conn) clean() {
	if !c.dirty() {
		return
	}
	if c.pg.IsBusy() || c.pg.TxStatus() != 'I' || c.w.server.kind == greenplum && c.altered {
		c.shut()
		return
	}
	if c.w.server.kind == greenplum {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), cleanPatience)
	defer cancel()
	if err := c.pg.Exec(ctx, "DISCARD ALL").Close(); err != nil {
		c.shut()
	}
}

// shut closes the connection.
func (c *conn) shut() {
	ctx, cancel := context.WithTimeout(context.Background(), cleanPatience)
	defer cancel()
	_ = c.pg.Close(ctx) // pgx gives no error of a connection that cannot be closed in order
}

// run notes that a statement of the user's is about to run.
func (c *conn) run(sql string) error {
	if c.reading != nil {
		return errStreamOpen
	}
	if err := refuseCopy(sql); err != nil {
		return err
	}
	c.used = true
	c.altered = c.altered || altersSession(sql)
	return nil
}

// errStreamOpen: the protocol has no place for a statement while another one's rows come.
var errStreamOpen = &driver.Error{
	Class:    driver.Internal,
	Message:  "The rows of the transaction's last query have not been read to their end.",
	Hint:     "Release the reader before the next statement, or query outside of the transaction.",
	Position: -1,
}

// exec runs one statement and gives the number of rows it changed. The rows of a SELECT are thrown away as they come.
func (c *conn) exec(ctx context.Context, sql string) (int64, error) {
	if err := c.run(sql); err != nil {
		return 0, err
	}
	watch := c.watchLocks()
	began := time.Now()
	rr := c.pg.ExecParams(ctx, sql, nil, nil, nil, nil)
	selects := len(rr.FieldDescriptions()) > 0
	tag, err := rr.Close()
	held := watch.end(err != nil)
	if err != nil {
		return 0, c.failure(ctx, sql, err, began, held)
	}
	if selects && tag.Select() {
		return -1, nil
	}
	return tag.RowsAffected(), nil
}

// begin opens a transaction. It takes no snapshot: the first statement does, which may be one that waits for a lock.
func (c *conn) begin(ctx context.Context) error {
	c.used = true
	sql := "BEGIN ISOLATION LEVEL REPEATABLE READ"
	if c.w.server.asyncCommit {
		sql += "; SET LOCAL synchronous_commit = on"
	}
	return c.failure(ctx, "", c.pg.Exec(ctx, sql).Close(), time.Now(), nil)
}

// prepare parses and plans one statement, as the session's unnamed one.
func (c *conn) prepare(ctx context.Context, sql string) (*pgconn.StatementDescription, error) {
	if c.reading != nil {
		return nil, errStreamOpen
	}
	began := time.Now()
	s, err := c.pg.Prepare(ctx, "", sql, nil)
	return s, c.failure(ctx, sql, err, began, nil)
}

func (c *conn) describe(ctx context.Context, sql string) ([]driver.Column, error) {
	s, err := c.prepare(ctx, sql)
	if err != nil {
		return nil, err
	}
	if len(s.Fields) == 0 || !isSelect(sql) {
		return nil, &driver.Error{
			Class:    driver.Syntax,
			Message:  "This statement is not a SELECT, so it has no columns.",
			Position: 0,
		}
	}
	return c.columns(ctx, s.Fields)
}

// tableSQL asks the catalog rather than preparing a SELECT: a statement that fails would end the transaction. $table is the
// table's name as a literal, $size what gives its bytes. OFFSET 0 has that asked once rather than for each column.
const tableSQL = `SELECT a.attname, a.atttypid, pg_catalog.format_type(a.atttypid, a.atttypmod), t.typtype, t.typbasetype,
	c.relkind, c.reltuples, c.relpages, c.size / CAST(current_setting('block_size') AS bigint)
FROM (SELECT oid, relkind, reltuples, relpages, $size AS size FROM pg_catalog.pg_class
	WHERE oid = pg_catalog.to_regclass($table) AND relkind IN ('r', 'v', 'm', 'f', 'p') OFFSET 0) AS c
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`

// table gives a table's columns, and what the table is.
func (c *conn) table(ctx context.Context, name driver.Name) ([]wire.Column, look, error) {
	size := "pg_catalog.pg_relation_size(oid)"
	if c.w.server.kind == greenplum {
		size = "CAST(0 AS bigint)" // there it asks all segments
	}
	rows, err := c.catalog(ctx, strings.NewReplacer("$size", size, "$table", sqltext.QuoteLiteral(quote(name))).Replace(tableSQL))
	if err != nil {
		return nil, look{}, err
	}
	var columns []wire.Column
	for _, row := range rows {
		oid, kind, base := row[1], row[3], row[4]
		for kind == "d" { // a domain may stand on a domain
			oid = base
			below, err := c.catalog(ctx, "SELECT typtype, typbasetype FROM pg_catalog.pg_type WHERE oid = "+oid)
			if err != nil {
				return nil, look{}, err
			}
			if len(below) == 0 {
				break // dropped meanwhile
			}
			kind, base = below[0][0], below[0][1]
		}
		number, err := strconv.ParseUint(oid, 10, 32)
		if err != nil {
			return nil, look{}, err
		}
		columns = append(columns, wire.Column{Column: driver.Column{Name: row[0], Type: wire.Portable(uint32(number)), Native: row[2]}, OID: uint32(number)})
	}
	return columns, c.w.readLook(rows), nil
}

// catalog asks the catalog something and gives the rows as texts.
func (c *conn) catalog(ctx context.Context, sql string) ([][]string, error) {
	if c.reading != nil {
		return nil, errStreamOpen
	}
	began, watch := time.Now(), c.watchLocks() // the size of a table waits for its lock
	result := c.pg.ExecParams(ctx, sql, nil, nil, nil, nil).Read()
	held := watch.end(result.Err != nil)
	if result.Err != nil {
		return nil, c.failure(ctx, "", result.Err, began, held)
	}
	return texts(result), nil
}

// texts gives the rows of a result, NULL as the empty text.
func texts(result *pgconn.Result) [][]string {
	rows := make([][]string, len(result.Rows))
	for i, r := range result.Rows {
		rows[i] = make([]string, len(r))
		for k, v := range r {
			rows[i][k] = string(v)
		}
	}
	return rows
}

// quote gives a table's name as SQL.
func quote(n driver.Name) string {
	if n.Schema == "" {
		return sqltext.QuoteIdent(n.Table)
	}
	return sqltext.QuoteIdent(n.Schema) + "." + sqltext.QuoteIdent(n.Table)
}
