package drivertest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"damson/internal/run"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
)

var looseTests = map[string]func(*testing.T, driver.Warehouse){
	"a loose script runs what forbids a transaction":   testLoose,
	"what a loose script has done stays":               testLooseFails,
	"a loose script's session is its own":              testLooseSession,
	"a loose script that has committed runs not again": testLooseOnce,
	"a loose script that is stopped first says so":     testLooseStopped,
}

func testLoose(t *testing.T, d driver.Warehouse) {
	w := ledger(t, d)
	var steps []int
	rows, err := w.Loose(t.Context(), []run.Claim{claim("a", 1)}, text("INSERT INTO done VALUES (1), (2);\nVACUUM;\nCHECKPOINT;"),
		func(i, n int, rows int64, _ time.Duration) { steps = append(steps, i, n) })
	if err != nil || rows != 2 || len(steps) != 6 || steps[4] != 3 || steps[5] != 3 {
		t.Fatalf("%d rows, steps %v, %v", rows, steps, err)
	}
	done, err := w.Committed(t.Context(), []run.Claim{claim("a", 1)})
	if err != nil || string(done[claim("a", 1)]) != `{"rows":2}` {
		t.Errorf("the ledger has %q, %v", done[claim("a", 1)], err)
	}
}

func testLooseFails(t *testing.T, d driver.Warehouse) {
	w := ledger(t, d)
	_, err := w.Loose(t.Context(), []run.Claim{claim("a", 1)}, text("INSERT INTO done VALUES (1);\nINSERT INTO gone VALUES (1);"), nil)
	f := asFinding(t, err)
	if f.At.Line != 2 || !strings.Contains(f.Detail, "The statement before it ran outside of a transaction and stays.") {
		t.Errorf("%s: %s", f.At, f.Detail)
	}
	if n := count(t, d, `SELECT count(*) FROM done`); n != 1 {
		t.Errorf("%d rows are there", n)
	}
	if done, err := w.Committed(t.Context(), []run.Claim{claim("a", 1)}); err != nil || len(done) != 0 {
		t.Errorf("the ledger has %v, %v", done, err)
	}
}

func testLooseSession(t *testing.T, d driver.Warehouse) {
	w := ledger(t, d)
	script := "CREATE TEMPORARY TABLE mine (x bigint);\nBEGIN;\nINSERT INTO mine VALUES (7);\nCOMMIT;\nINSERT INTO done SELECT x FROM mine;\nBEGIN;\nINSERT INTO done VALUES (8);"
	for attempt := 1; attempt <= 2; attempt++ {
		if _, err := w.Loose(t.Context(), []run.Claim{claim("a", attempt)}, text(script), nil); err != nil {
			t.Fatal(err)
		}
	}
	want(t, d, `SELECT x FROM done`, []any{int64(7)}, []any{int64(7)}) // and not 8: that transaction was left open
}

func testLooseOnce(t *testing.T, d driver.Warehouse) {
	w := ledger(t, d)
	script := text("INSERT INTO done VALUES (1)")
	for _, expected := range []error{nil, warehouse.ErrCommitted} {
		if _, err := w.Loose(t.Context(), []run.Claim{claim("a", 1)}, script, nil); !errors.Is(err, expected) {
			t.Errorf("%v, want %v", err, expected)
		}
	}
	if _, err := w.Settle(t.Context(), []run.Claim{claim("b", 1)}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Loose(t.Context(), []run.Claim{claim("b", 1)}, script, nil); !errors.Is(err, warehouse.ErrSettled) {
		t.Errorf("a settled claim gives %v", err)
	}
	if n := count(t, d, `SELECT count(*) FROM done`); n != 1 {
		t.Errorf("%d rows are there", n)
	}
}

func testLooseStopped(t *testing.T, d driver.Warehouse) {
	w := ledger(t, d)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := w.Loose(ctx, []run.Claim{claim("a", 1)}, text("INSERT INTO done VALUES (1)"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
	nothingDone(t, d)
}
