package drivertest

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"damson/internal/run"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
)

var settleTests = map[string]func(*testing.T, driver.Warehouse){
	"what is settled never commits":           testSettled,
	"what has committed stays so":             testSettleCommitted,
	"a commit and its settlement never cross": testSettleRace,
}

func testSettled(t *testing.T, d driver.Warehouse) {
	w := ledger(t, d)
	claims := []run.Claim{claim("a", 1), claim("b", 1)}
	for range 2 { // settling again changes nothing
		if done, err := w.Settle(t.Context(), claims); err != nil || len(done) != 0 {
			t.Fatalf("settled with %v, %v", done, err)
		}
	}
	if err := w.Do(t.Context(), claims[1:], insert(t, 1)); !errors.Is(err, warehouse.ErrSettled) {
		t.Errorf("a settled claim gives %v, want %v", err, warehouse.ErrSettled)
	}
	if n := count(t, d, `SELECT count(*) FROM done`); n != 0 {
		t.Errorf("%d rows were written", n)
	}
	if done, err := w.Committed(t.Context(), claims); err != nil || len(done) != 0 {
		t.Errorf("committed are %v, %v", done, err)
	}
	next := claim("a", 2)
	taken, err := w.Taken(t.Context(), append(claims, next))
	if err != nil || !taken[claims[0]] || !taken[claims[1]] || taken[next] {
		t.Errorf("taken are %v, %v", taken, err)
	}
	if err := w.Do(t.Context(), []run.Claim{next}, insert(t, 2)); err != nil {
		t.Errorf("the next attempt: %v", err)
	}
}

func testSettleCommitted(t *testing.T, d driver.Warehouse) {
	w := ledger(t, d)
	if err := w.Do(t.Context(), []run.Claim{claim("a", 1)}, insert(t, 1)); err != nil {
		t.Fatal(err)
	}
	done, err := w.Settle(t.Context(), []run.Claim{claim("a", 1), claim("b", 1)})
	if err != nil || len(done) != 1 || string(done[claim("a", 1)]) != `{"rows":1}` {
		t.Errorf("settled with %q, %v", done[claim("a", 1)], err)
	}
	if err := w.Do(t.Context(), []run.Claim{claim("a", 1)}, insert(t, 1)); !errors.Is(err, warehouse.ErrCommitted) {
		t.Errorf("again: %v, want %v", err, warehouse.ErrCommitted)
	}
}

// testSettleRace has settlements race with commits: whoever asks later sees what the settlement has said.
func testSettleRace(t *testing.T, d driver.Warehouse) {
	w := ledger(t, d)
	for round := range 20 {
		c := []run.Claim{claim(fmt.Sprint("t", round), 1)}
		var g errgroup.Group
		g.Go(func() error {
			err := w.Do(t.Context(), c, insert(t, round))
			if errors.Is(err, warehouse.ErrSettled) {
				return nil
			}
			return err
		})
		said, err := w.Settle(t.Context(), c)
		if err := errors.Join(err, g.Wait()); err != nil {
			t.Fatal(err)
		}
		there := count(t, d, fmt.Sprintf(`SELECT count(*) FROM done WHERE x = %d`, round))
		if int64(len(said)) != there {
			t.Errorf("round %d: the settlement found %d commits, and there are %d rows", round, len(said), there)
		}
	}
}
