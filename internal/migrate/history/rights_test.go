package history_test

import (
	"net/url"
	"strings"
	"testing"

	"damson/internal/migrate/history"
	"damson/internal/pgtest"
	"damson/internal/warehouse/postgres"
	"damson/internal/warehouse/warehousetest"
)

// TestHistoryOfOthers reads as a user who has no right to the history: nothing must look pending that is not.
func TestHistoryOfOthers(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	b := newBench(t, "postgres", warehousetest.Postgres(t, address))
	b.mustUp(b.migrations("CREATE TABLE t (a bigint)"), "[1]")
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	role := "reader_of_" + strings.Trim(u.Path, "/")
	b.exec("CREATE ROLE " + role + " LOGIN PASSWORD 'secret'")
	u.User = url.UserPassword(role, "secret")
	other, err := postgres.Open(t.Context(), u.String(), postgres.Options{}) // it may not make Damson's tables
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
	_, err = history.Read(t.Context(), other.Query)
	says(t, err, "cannot be seen", "user "+role+" may not read it", "GRANT USAGE ON SCHEMA damson TO "+role)
	b.exec("GRANT USAGE ON SCHEMA damson TO " + role)
	b.exec("GRANT SELECT ON damson.migrations TO " + role)
	if seen, err := history.Read(t.Context(), other.Query); len(seen) != 1 || err != nil {
		t.Errorf("with the rights the history is %v, %v", seen, err)
	}
}
