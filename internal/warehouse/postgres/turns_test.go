package postgres_test

import (
	"context"
	"testing"
	"time"

	"damson/internal/pgtest"
	"damson/internal/warehouse"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/postgres"
)

// TestConflictStopsNobody has a long transaction open while another one meets a third: it begins again without waiting for the
// long one, and keeps nobody else from beginning.
func TestConflictStopsNobody(t *testing.T) {
	t.Parallel()
	w, err := warehouse.New(t.Context(), open(t, pgtest.Database(t), postgres.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err = w.Do(ctx, nil, func(*warehouse.Tx) (any, error) { // the long one
		calls := 0
		return nil, w.Do(ctx, nil, func(*warehouse.Tx) (any, error) {
			if calls++; calls == 1 {
				return nil, &driver.Error{Class: driver.Conflict, Message: "met another", Position: -1}
			}
			return nil, w.Do(ctx, nil, func(*warehouse.Tx) (any, error) { return nil, nil }) // another one
		})
	})
	if err != nil {
		t.Error(err)
	}
}
