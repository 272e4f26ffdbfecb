package drivertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"damson/internal/run"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
)

var ledgerTests = map[string]func(*testing.T, driver.Warehouse){
	"writes and claims commit together":               testDoCommits,
	"each claim can have a result of its own":         testDoEach,
	"a claim commits once":                            testDoOnce,
	"a claim that has committed explains a failure":   testDoExplains,
	"nothing is written when the function fails":      testDoFails,
	"nothing is written when the function panics":     testDoPanics,
	"nothing is written when the context ends":        testDoCancelled,
	"of two that race for a claim one commits":        testDoRace,
	"a conflict runs the function again":              testDoConflict,
	"a conflict with a long transaction waits for it": testDoLongConflict,
	"what waits for a transaction can be ended":       testDoWaitEnds,
	"a closed warehouse is not waited for":            testDoClosed,
	"a warehouse is prepared once":                    testNewTwice,
	"a script reports its statements":                 testScript,
	"a script cannot end the transaction":             testScriptTransaction,
	"a checksum tells rows apart but not their order": testChecksum,
	"the ledger is asked for many claims":             testManyClaims,
}

func claim(task string, attempt int) run.Claim {
	return run.Claim{RunID: "geolife/2007-04-12 o'clock", Task: task, Attempt: attempt}
}

// insert is a function for Do that writes one row.
func insert(t *testing.T, x int) func(tx *warehouse.Tx) (any, error) {
	return func(tx *warehouse.Tx) (any, error) {
		n, err := tx.Exec(t.Context(), text(fmt.Sprintf(`INSERT INTO done VALUES (%d)`, x)))
		return map[string]int64{"rows": n}, err
	}
}

func ledger(t *testing.T, d driver.Warehouse) *warehouse.Warehouse {
	t.Helper()
	exec(t, d, `CREATE TABLE done (x bigint)`)
	return portable(t, d)
}

// beginnings counts the transactions of a driver.
type beginnings struct {
	driver.Warehouse
	n atomic.Int64
}

func (b *beginnings) Begin(ctx context.Context) (driver.Tx, error) {
	b.n.Add(1)
	return b.Warehouse.Begin(ctx)
}

func testDoClosed(t *testing.T, d driver.Warehouse) {
	counted := &beginnings{Warehouse: d}
	w := ledger(t, counted)
	before := counted.n.Load()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	err := w.Do(t.Context(), []run.Claim{claim("a", 1)}, insert(t, 1))
	if e := asError(t, err); e.Class != driver.Connection {
		t.Errorf("a closed warehouse says %v", err)
	}
	if n := counted.n.Load() - before; n > 2 { // the transaction, and one look at what has become of it
		t.Errorf("a closed warehouse was asked %d times", n)
	}
}

func testDoCommits(t *testing.T, d driver.Warehouse) {
	w := ledger(t, d)
	claims := []run.Claim{claim("a", 1), claim("b", 1)}
	if err := w.Do(t.Context(), claims, insert(t, 1)); err != nil {
		t.Fatal(err)
	}
	done, err := w.Committed(t.Context(), append(claims, claim("a", 2), claim("c", 1)))
	if err != nil {
		t.Fatal(err)
	}
	got := map[run.Claim]string{}
	for c, result := range done {
		got[c] = string(result)
	}
	if d := cmp.Diff(map[run.Claim]string{claims[0]: `{"rows":1}`, claims[1]: `{"rows":1}`}, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	want(t, d, `SELECT count(*), count(committed_at) FROM damson.ledger`, []any{int64(2), int64(2)})
}

func testDoEach(t *testing.T, d driver.Warehouse) {
	w := ledger(t, d)
	claims := []run.Claim{claim("a", 1), claim("b", 1)}
	do := func(results ...any) error {
		return w.Do(t.Context(), claims, func(*warehouse.Tx) (any, error) { return warehouse.Each(results), nil })
	}
	if err := do(1); err == nil {
		t.Error("one result is taken for two claims")
	}
	if err := do(1, "two"); err != nil {
		t.Fatal(err)
	}
	done, err := w.Committed(t.Context(), claims)
	if err != nil || string(done[claims[0]]) != "1" || string(done[claims[1]]) != `"two"` {
		t.Errorf("the ledger has %v, %v", done, err)
	}
}

func testDoOnce(t *testing.T, d driver.Warehouse) {
	w := ledger(t, d)
	for i, expected := range []error{nil, warehouse.ErrCommitted} {
		if err := w.Do(t.Context(), []run.Claim{claim("a", 1)}, insert(t, i)); !errors.Is(err, expected) {
			t.Errorf("time %d gives %v, want %v", i+1, err, expected)
		}
	}
	if err := w.Do(t.Context(), []run.Claim{claim("b", 1), claim("a", 1)}, insert(t, 2)); !errors.Is(err, warehouse.ErrCommitted) {
		t.Errorf("with one claim of two: %v, want %v", err, warehouse.ErrCommitted)
	}
	want(t, d, `SELECT x FROM done`, []any{int64(0)})
}

func testDoExplains(t *testing.T, d driver.Warehouse) {
	w := portable(t, d)
	create := func(tx *warehouse.Tx) (any, error) {
		return tx.Exec(t.Context(), text(`CREATE TABLE only_once (x bigint)`))
	}
	if err := w.Do(t.Context(), []run.Claim{claim("a", 1)}, create); err != nil {
		t.Fatal(err)
	}
	if err := w.Do(t.Context(), []run.Claim{claim("a", 1)}, create); !errors.Is(err, warehouse.ErrCommitted) {
		t.Errorf("the same attempt gives %v, want %v", err, warehouse.ErrCommitted)
	}
	if err := w.Do(t.Context(), []run.Claim{claim("a", 2)}, create); err == nil || errors.Is(err, warehouse.ErrCommitted) {
		t.Errorf("another attempt gives %v, want the database's error", err)
	}
}

func testDoFails(t *testing.T, d driver.Warehouse) {
	w := ledger(t, d)
	broken := errors.New("broken")
	err := w.Do(t.Context(), []run.Claim{claim("a", 1)}, func(tx *warehouse.Tx) (any, error) {
		if _, err := insert(t, 1)(tx); err != nil {
			t.Error(err)
		}
		return nil, broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("Do gives %v, want %v", err, broken)
	}
	nothingDone(t, d)
}

func nothingDone(t *testing.T, d driver.Warehouse) {
	t.Helper()
	want(t, d, `SELECT (SELECT count(*) FROM done), (SELECT count(*) FROM damson.ledger)`, []any{int64(0), int64(0)})
}

func testDoPanics(t *testing.T, d driver.Warehouse) {
	w := ledger(t, d)
	func() {
		defer func() { _ = recover() }()
		_ = w.Do(t.Context(), nil, func(tx *warehouse.Tx) (any, error) {
			_, _ = insert(t, 1)(tx)
			panic("a bug")
		})
	}()
	nothingDone(t, d)
}

func testDoCancelled(t *testing.T, d driver.Warehouse) {
	w := ledger(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	err := w.Do(ctx, []run.Claim{claim("a", 1)}, func(tx *warehouse.Tx) (any, error) {
		result, err := insert(t, 1)(tx)
		cancel()
		return result, err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Do gives %v, want %v", err, context.Canceled)
	}
	nothingDone(t, d)
}

func testDoRace(t *testing.T, d driver.Warehouse) {
	w := ledger(t, d)
	var committed, refused atomic.Int64
	var g errgroup.Group
	for i := range 6 {
		g.Go(func() error {
			err := w.Do(t.Context(), []run.Claim{claim("a", 1)}, insert(t, i))
			switch {
			case err == nil:
				committed.Add(1)
			case errors.Is(err, warehouse.ErrCommitted):
				refused.Add(1)
			default:
				return err
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if committed.Load() != 1 || refused.Load() != 5 {
		t.Errorf("%d committed and %d were refused, want 1 and 5", committed.Load(), refused.Load())
	}
	want(t, d, `SELECT count(*) FROM done`, []any{int64(1)})
}

// testDoConflict lets two transactions change one row: the second to write must wait for the first or run again.
func testDoConflict(t *testing.T, d driver.Warehouse) {
	w := ledger(t, d)
	exec(t, d, `INSERT INTO done VALUES (0)`)
	var g errgroup.Group
	for range 4 {
		g.Go(func() error {
			return inTx(t.Context(), w, func(tx *warehouse.Tx) error {
				_, err := tx.Exec(t.Context(), text(`UPDATE done SET x = x + 1`))
				return err
			})
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	want(t, d, `SELECT x FROM done`, []any{int64(4)})
}

// testDoLongConflict lets a transaction meet another that has made the same table and stays open until the first has been
// turned away once: it must wait for the end of the other and then succeed.
func testDoLongConflict(t *testing.T, d driver.Warehouse) {
	w := portable(t, d)
	made, met := make(chan struct{}), make(chan struct{})
	var g errgroup.Group
	g.Go(func() error {
		return inTx(t.Context(), w, func(tx *warehouse.Tx) error {
			if _, err := tx.Exec(t.Context(), text(`CREATE TABLE IF NOT EXISTS both_make (x bigint)`)); err != nil {
				return err
			}
			close(made)
			<-met
			_, err := tx.Exec(t.Context(), text(`INSERT INTO both_make SELECT count(*) FROM generate_series(1, 20000000)`)) // takes a while
			return err
		})
	})
	<-made
	var once sync.Once
	calls := 0
	err := inTx(t.Context(), w, func(tx *warehouse.Tx) error {
		calls++
		if !d.Capabilities().OneProcess {
			once.Do(func() { close(met) }) // such a database makes the second wait inside the statement
		}
		_, err := tx.Exec(t.Context(), text(`CREATE TABLE IF NOT EXISTS both_make (x bigint)`))
		once.Do(func() { close(met) })
		return err
	})
	if err := errors.Join(err, g.Wait()); err != nil {
		t.Fatal(err)
	}
	if calls > 2 {
		t.Errorf("the function ran %d times: it did not wait for the other transaction", calls)
	}
}

// testDoWaitEnds lets a transaction wait for another that does not end: its context must still end it.
func testDoWaitEnds(t *testing.T, d driver.Warehouse) {
	w := portable(t, d)
	exec(t, d, `CREATE TABLE waited (x bigint)`, `INSERT INTO waited VALUES (1)`)
	held, release := make(chan struct{}), make(chan struct{})
	var g errgroup.Group
	g.Go(func() error {
		return inTx(t.Context(), w, func(tx *warehouse.Tx) error {
			_, err := tx.Exec(t.Context(), text(`UPDATE waited SET x = 2`))
			close(held)
			<-release
			return err
		})
	})
	<-held
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	ended := make(chan error)
	go func() {
		ended <- inTx(ctx, w, func(tx *warehouse.Tx) error {
			_, err := tx.Exec(ctx, text(`UPDATE waited SET x = 3`))
			return err
		})
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Do gives %v, want %v", err, context.DeadlineExceeded)
		}
		close(release)
	case <-time.After(20 * time.Second):
		t.Error("Do waits for the other transaction although its context has ended")
		close(release)
		<-ended
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	want(t, d, `SELECT x FROM waited`, []any{int64(2)})
}

func testNewTwice(t *testing.T, d driver.Warehouse) {
	w := ledger(t, d)
	if err := w.Do(t.Context(), []run.Claim{claim("a", 1)}, insert(t, 1)); err != nil {
		t.Fatal(err)
	}
	again := portable(t, d)
	if done, err := again.Committed(t.Context(), []run.Claim{claim("a", 1)}); len(done) != 1 || err != nil {
		t.Errorf("after a second New the ledger gives %v, %v", done, err)
	}
	for _, table := range []string{warehouse.Ledger, warehouse.Rejects} {
		if columns, err := again.Table(t.Context(), table); len(columns) < 5 || err != nil {
			t.Errorf("table %s has the columns %v, %v", table, columns, err)
		}
	}
}

func testScript(t *testing.T, d driver.Warehouse) {
	w := portable(t, d)
	var told []string
	err := inTx(t.Context(), w, func(tx *warehouse.Tx) error {
		rows, err := tx.Script(t.Context(), text("CREATE TABLE s (x bigint);\nINSERT INTO s VALUES (1), (2); -- two\nUPDATE s SET x = x + 1 WHERE x = 2;\n"),
			func(i, n int, rows int64, _ time.Duration) {
				told = append(told, fmt.Sprintf("%d/%d %d", i, n, max(rows, 0)))
			})
		if rows != 3 {
			t.Errorf("the script changed %d rows, want 3", rows)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"1/3 0", "2/3 2", "3/3 1"}, told); d != "" {
		t.Errorf("progress (-want +got)\n%s", d)
	}
	err = inTx(t.Context(), w, func(tx *warehouse.Tx) error {
		_, err := tx.Script(t.Context(), text("INSERT INTO s VALUES (7);\nINSERT INTO s\nVALUES (1, nope);"), nil)
		return err
	})
	if f := asFinding(t, err); f.At.Line < 2 || f.At.File != "sql/test.sql" {
		t.Errorf("the third line's error is at %s", f.At)
	}
	want(t, d, `SELECT x FROM s ORDER BY x`, []any{int64(1)}, []any{int64(3)})
}

func testScriptTransaction(t *testing.T, d driver.Warehouse) {
	w := ledger(t, d)
	for _, sql := range []string{"INSERT INTO done VALUES (1);\n/* now */ commit", "INSERT INTO done VALUES (1);\n  ROLLBACK;", "INSERT INTO done VALUES (1);\n  Begin"} {
		err := inTx(t.Context(), w, func(tx *warehouse.Tx) error {
			_, err := tx.Script(t.Context(), text(sql), nil)
			return err
		})
		if f := asFinding(t, err); f.At.Line != 2 {
			t.Errorf("%s is refused at %s", sql, f.At)
		}
	}
	nothingDone(t, d)
}

func testChecksum(t *testing.T, d driver.Warehouse) {
	exec(t, d,
		`CREATE TABLE c1 (a text, b double precision, day date)`, `INSERT INTO c1 VALUES ('x', 1.5, DATE '2007-04-12'), (NULL, -0.0, NULL), ('x', 1.5, DATE '2007-04-12')`,
		`CREATE TABLE c2 AS SELECT day, b, a FROM c1 ORDER BY b`,
		`CREATE TABLE c3 AS SELECT DISTINCT a, b, day FROM c1`,
		`CREATE TABLE c4 AS SELECT a, b + 1e-9 AS b, day FROM c1`)
	w := portable(t, d)
	sums := map[string]string{}
	for _, table := range []string{"c1", "c2", "c3", "c4"} {
		n, sum, err := w.Checksum(t.Context(), table)
		if err != nil || n != map[string]int64{"c1": 3, "c2": 3, "c3": 2, "c4": 3}[table] {
			t.Fatalf("%s: %d rows, %v", table, n, err)
		}
		sums[table] = sum
	}
	// The sum is part of no contract but must be the same on every database, so it stands here.
	if sums["c1"] != checksumC1 || sums["c1"] != sums["c2"] || sums["c1"] == sums["c3"] || sums["c1"] == sums["c4"] {
		t.Errorf("sums are %v, want %s for c1", sums, checksumC1)
	}
	_, _, err := w.Checksum(t.Context(), "nothing")
	if f := asFinding(t, err); f.Summary != "Unknown table" {
		t.Errorf("an unknown table gives %v", f)
	}
}

const checksumC1 = "7bf5bd7b9f85ba41cbd984377a5f7974"

func testManyClaims(t *testing.T, d driver.Warehouse) {
	w := ledger(t, d)
	claims := make([]run.Claim, 1200)
	for i := range claims {
		claims[i] = claim("t", i)
	}
	if err := w.Do(t.Context(), claims, insert(t, 1)); err != nil {
		t.Fatal(err)
	}
	if done, err := w.Committed(t.Context(), claims); len(done) != len(claims) || err != nil {
		t.Errorf("%d of %d claims are found, %v", len(done), len(claims), err)
	}
}
