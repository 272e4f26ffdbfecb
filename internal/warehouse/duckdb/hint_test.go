//go:build duckdb_arrow

package duckdb_test

import (
	"errors"
	"testing"

	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/duckdb"
)

func TestErrorsAdviseInPlainWords(t *testing.T) {
	t.Parallel()
	w := open(t, duckdb.Options{})
	for _, sql := range []string{"CREATE SCHEMA landing", "CREATE TABLE landing.trajectory (tdate date, ttime timestamp, uid bigint, latitude double)"} {
		if _, err := w.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	const group = `column "uid" must appear in the GROUP BY clause or must be part of an aggregate function.`
	for _, c := range []struct {
		sql, message, hint, table string
		class                     driver.Class
	}{
		{"select ttme from landing.trajectory", `Referenced column "ttme" not found in FROM clause!`, `Did you mean "ttime"?`, "", driver.UnknownName},
		{"select zzzzzz from (select uid, latitude from landing.trajectory)", `Referenced column "zzzzzz" not found in FROM clause!`, "Columns there: latitude.", "", driver.UnknownName},
		{"select t.ltitude from landing.trajectory t", `Table "t" does not have a column named "ltitude"`, `Did you mean "latitude"?`, "", driver.UnknownName},
		{"select x.uid from landing.trajectory trip", `Referenced table "x" not found!`, "Tables there: trip.", "", driver.UnknownName},
		{"select * from landing.trajectry", "Table with name trajectry does not exist!", `Did you mean "trajectory"?`, "landing.trajectry", driver.UnknownName},
		{"select * from nowhere", "Table with name nowhere does not exist!", "", "nowhere", driver.UnknownName}, // not "pg_indexes"
		{"select * from foo.trips", `Table with name "foo.trips" does not exist because schema "foo" does not exist.`, "", "foo.trips", driver.UnknownName},
		{"select uid, sum(latitude) from landing.trajectory group by tdate", group,
			`Either add it to the GROUP BY list, or use "ANY_VALUE(uid)" if the exact value of "uid" is not important.`, "", driver.Syntax},
		{"select round(latitude, 'a'::varchar) from landing.trajectory",
			"No function matches the given name and argument types 'round(DOUBLE, VARCHAR)'. You might need to add explicit type casts.\n" +
				"Its forms are: round(DOUBLE, INTEGER) -> DOUBLE, round(TINYINT, INTEGER) -> TINYINT, round(SMALLINT, INTEGER) -> SMALLINT, and 13 more", "", "", driver.Syntax},
	} {
		_, err := w.Exec(t.Context(), c.sql)
		e := (*driver.Error)(nil)
		if !errors.As(err, &e) {
			t.Errorf("%s: %v", c.sql, err)
			continue
		}
		if e.Message != c.message || e.Hint != c.hint || e.Table != c.table || e.Class != c.class {
			t.Errorf("%s gives %q, hint %q, table %q, class %q", c.sql, e.Message, e.Hint, e.Table, e.Class)
		}
	}
}
