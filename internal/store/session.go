package store

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"strings"
	"time"

	"damson/internal/store/driver"
)

// remotePatience is how long a remote database may take for what is sent to it at once, so that one that is stopped or cut
// off does not hold the callers for ever.
const remotePatience = time.Minute

// pipelineLength bounds the statements that wait to be sent together.
const pipelineLength = 2000

// session is the connection that writes, with its prepared statements. Only the writing goroutine uses it. Its statements
// run without the callers' contexts: one caller who gives up must not break the others' transaction.
//
// A statement whose answer is not needed at once is handed to later. With a remote database such statements wait and are
// sent together (Remote.Pipeline): a transaction is then two round trips, however much it writes. Statements run in the
// order in which they were given in any case.
type session struct {
	s          *Store
	remote     driver.Remote // nil where a statement costs no round trip
	conn       *sql.Conn
	statements map[string]*sql.Stmt
	bound      map[string]string // queries in the database's dialect

	pipelining bool // statements may wait
	waiting    []driver.Statement
	checks     []func(rows int64) error // of those that wait; nil = none
	sent       bool                     // this transaction has messages
}

// errUnfit ends an attempt in which a change did not fit: the next one, step by step, finds out why.
var errUnfit = errors.New("a change does not fit what is stored")

func newSession(s *Store) *session {
	remote, _ := s.db.(driver.Remote)
	return &session{s: s, remote: remote, bound: map[string]string{}}
}

func (ses *session) connect() error {
	if ses.conn != nil {
		return nil
	}
	ctx, cancel := ses.patience()
	defer cancel()
	conn, err := ses.s.db.Writer().Conn(ctx)
	if err != nil {
		return err
	}
	ses.conn, ses.statements = conn, map[string]*sql.Stmt{}
	return nil
}

// begin forgets what an earlier attempt left.
func (ses *session) begin(together bool) {
	ses.pipelining = together && ses.remote != nil
	ses.waiting, ses.checks, ses.sent = nil, nil, false
}

// rollback ends a transaction that failed; when that fails too, the connection goes.
func (ses *session) rollback() {
	ses.begin(false)
	if ses.conn == nil {
		return
	}
	if _, err := ses.exec("ROLLBACK"); err != nil {
		ses.drop()
	}
}

// drop gives the connection up, and with it its transaction and statements.
func (ses *session) drop() {
	if ses.conn == nil {
		return
	}
	for _, st := range ses.statements {
		_ = st.Close()
	}
	_ = ses.conn.Raw(func(any) error { return sqldriver.ErrBadConn }) // so that the pool does not use it again
	_ = ses.conn.Close()
	ses.conn = nil
}

func (ses *session) transient(err error) bool { return ses.remote != nil && ses.remote.Transient(err) }

func (ses *session) patience() (context.Context, context.CancelFunc) {
	if ses.remote == nil {
		return context.Background(), func() {}
	}
	return context.WithTimeout(context.Background(), remotePatience)
}

// dialect gives a query with the database's parameters.
func (ses *session) dialect(query string) string {
	own, ok := ses.bound[query]
	if !ok {
		own = ses.s.rebind(query)
		ses.bound[query] = own
	}
	return own
}

// prepared gives the statement of a query, prepared once.
func (ses *session) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if st := ses.statements[query]; st != nil {
		return st, nil
	}
	st, err := ses.conn.PrepareContext(ctx, ses.dialect(query))
	if err != nil {
		return nil, err
	}
	ses.statements[query] = st
	return st, nil
}

// exec runs a statement and says how many rows it changed.
func (ses *session) exec(query string, args ...any) (int64, error) {
	if err := ses.flush(); err != nil {
		return 0, err
	}
	ctx, cancel := ses.patience()
	defer cancel()
	st, err := ses.prepared(ctx, query)
	if err != nil {
		return 0, err
	}
	result, err := st.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// row reads one row.
func (ses *session) row(query string, args []any, into ...any) error {
	if err := ses.flush(); err != nil {
		return err
	}
	ctx, cancel := ses.patience()
	defer cancel()
	st, err := ses.prepared(ctx, query)
	if err != nil {
		return err
	}
	return st.QueryRowContext(ctx, args...).Scan(into...)
}

// later runs a statement now or before the next one that is not handed to later, and then has check, unless that is nil,
// look at how many rows it changed. The args must not be changed afterwards.
func (ses *session) later(check func(rows int64) error, query string, args ...any) error {
	if ses.pipelining {
		return ses.wait(check, query, args)
	}
	rows, err := ses.exec(query, args...)
	if err != nil || check == nil {
		return err
	}
	return check(rows)
}

// require is later for a SELECT that gives one number or no row: without a row the transaction ends with missing.
func (ses *session) require(missing error, query string, args ...any) error {
	if ses.pipelining {
		return ses.wait(func(rows int64) error {
			if rows == 0 {
				return missing
			}
			return nil
		}, query, args)
	}
	var number int64
	err := ses.row(query, args, &number)
	if errors.Is(err, sql.ErrNoRows) {
		return missing
	}
	return err
}

func (ses *session) wait(check func(rows int64) error, query string, args []any) error {
	ses.waiting = append(ses.waiting, driver.Statement{Query: ses.dialect(query), Args: args})
	ses.checks = append(ses.checks, check)
	if len(ses.waiting) < pipelineLength {
		return nil
	}
	return ses.flush()
}

// flush sends the statements that wait and checks what they did.
func (ses *session) flush() error {
	if len(ses.waiting) == 0 {
		return nil
	}
	waiting, checks := ses.waiting, ses.checks
	ses.waiting, ses.checks = nil, nil
	ctx, cancel := ses.patience()
	defer cancel()
	rows, err := ses.remote.Pipeline(ctx, ses.conn, waiting)
	if err != nil {
		return err
	}
	for i, check := range checks {
		if check == nil {
			continue
		}
		if err := check(rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// exclude keeps other processes from writing a table until the transaction ends: for what is read and then written.
func (ses *session) exclude(table string) error {
	lock := ses.s.db.Dialect().Exclude
	if lock == "" {
		return nil
	}
	return ses.later(nil, strings.ReplaceAll(lock, "%s", table))
}

// insertSizes are the rows of one INSERT, so that few statements have to be prepared.
var insertSizes = []int{32, 4, 1}

// insertion adds rows to a table.
type insertion struct {
	columns int
	queries []string // for each of insertSizes
}

// newInsertion makes the statements; rest is what follows the values.
func newInsertion(table, columns, rest string) insertion {
	in := insertion{columns: strings.Count(columns, ",") + 1}
	for _, size := range insertSizes {
		in.queries = append(in.queries, `INSERT INTO `+table+` (`+columns+`) VALUES `+valuesList(size, in.columns)+rest)
	}
	return in
}

// insert adds n rows; values appends those of the ith.
func (ses *session) insert(in insertion, n int, values func(args []any, i int) []any) error {
	done := 0
	for k, size := range insertSizes {
		for ; n-done >= size; done += size {
			args := make([]any, 0, size*in.columns)
			for i := range size {
				args = values(args, done+i)
			}
			if err := ses.later(nil, in.queries[k], args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// rebind writes a query's "?" as the dialect's parameters.
func (s *Store) rebind(query string) string {
	if !strings.Contains(query, "?") {
		return query
	}
	var b strings.Builder
	n := 0
	for part := range strings.SplitSeq(query, "?") {
		if n > 0 {
			b.WriteString(s.db.Dialect().Placeholder(n))
		}
		b.WriteString(part)
		n++
	}
	return b.String()
}

// valuesList is "(?,?), (?,?)": rows times columns.
func valuesList(rows, columns int) string {
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", columns), ",") + ")"
	return strings.TrimSuffix(strings.Repeat(row+", ", rows), ", ")
}

// clean makes text fit for every database: PostgreSQL takes neither a zero byte nor what is not UTF-8, and a task may print
// either. A zero byte becomes its picture, what is not UTF-8 the replacement character.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\u2400")
}
