package postgres_test

import (
	"strings"
	"testing"

	"damson/internal/pgtest"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/postgres"
)

// failures are statements that fail; at is the text at the position that the error tells, "" = it tells none.
var failures = []struct {
	sql     string
	class   driver.Class
	code    string
	at      string // the text at the position; "" = not told
	table   string
	message []string
	hint    string
}{
	{sql: `SELECT 'ü🍑' AS "漢" FROM geo.pointz`, class: driver.UnknownName, code: "42P01", at: "geo.pointz", table: "geo.pointz"},
	{sql: `SELECT * FROM "Geo" . "Pointz" p`, class: driver.UnknownName, code: "42P01", at: `"Geo" .`, table: "Geo.Pointz"},
	{sql: `SELECT p.id FROM geo.points`, class: driver.UnknownName, code: "42P01", at: "p.id", table: "", message: []string{`missing FROM-clause entry for table "p"`}},
	{sql: `DROP TABLE nothing`, class: driver.UnknownName, code: "42P01", table: "nothing"},
	{sql: `SELECT speedd FROM geo.points`, class: driver.UnknownName, code: "42703", at: "speedd", hint: `"points.speed"`},
	{sql: `SELECT * FROM nowhere.t`, class: driver.UnknownName, code: "42P01", at: "nowhere.t", table: "nowhere.t"},
	{sql: `SELECT CAST(1 AS nothing)`, class: driver.UnknownName, code: "42704", at: "nothing"},
	{sql: `SELECT id FROM geo.points p, child c`, class: driver.Syntax, code: "42702", at: "id"},
	{sql: `SELECT 1 WHERE`, class: driver.Syntax, code: "42601"},
	{sql: `SELECT 1; SELECT 2`, class: driver.Syntax, code: "42601"},
	{sql: `SELECT $1::integer`, class: driver.Syntax, code: "08P01", message: []string{"a parameter such as $1"}},
	{sql: `INSERT INTO geo.points VALUES (1, 3)`, class: driver.Constraint, code: "23505",
		message: []string{`violates unique constraint "points_pkey"`, "Key (id)=(1) already exists."}},
	{sql: `INSERT INTO child VALUES (2)`, class: driver.Constraint, code: "23503", message: []string{"Key (id)=(2) is not present"}},
	{sql: `INSERT INTO geo.points VALUES (NULL, 3)`, class: driver.Constraint, code: "23502", message: []string{"Failing row contains (null, 3)."}},
	{sql: `SELECT 1 / (id - 1) FROM geo.points`, class: driver.DataError, code: "22012", message: []string{"division by zero"}},
	{sql: `SELECT date '2007-02-30'`, class: driver.DataError, code: "22008", at: "'2007-02-30'"},
	{sql: `SELECT (SELECT x FROM generate_series(1, 2) AS g(x))`, class: driver.DataError, code: "21000"},
	{sql: `CREATE TABLE child (x bigint)`, class: driver.Exists, code: "42P07"},
	{sql: `CREATE SCHEMA geo`, class: driver.Exists, code: "42P06"},
	{sql: `SELECT ratio(0)`, class: driver.DataError, code: "22012",
		message: []string{"division by zero", "PL/pgSQL function ratio(integer) line 1 at RETURN", "SELECT 1 / x + count(*) FROM geo.points"}},
	{sql: `SELECT broken()`, class: driver.UnknownName, code: "42P01", table: "nowhere",
		message: []string{`relation "nowhere" does not exist`, "In the statement: (SELECT count(*) FROM nowhere)", "PL/pgSQL function broken() line 1 at RETURN"}},
	{sql: `SELECT angry()`, class: driver.Unclassified, code: "P0001", message: []string{"no tea today", "The pot is empty.", "PL/pgSQL function angry() line 1 at RAISE"}, hint: "Have coffee."},
	{sql: `COPY child FROM STDIN`, class: driver.Syntax, at: "STDIN", hint: "load task"},
	{sql: `COPY (SELECT 1) TO STDOUT`, class: driver.Syntax, at: "STDOUT"},
	{sql: `SELECT similarity('a', 'b')`, class: driver.UnknownName, code: "42883", at: "similarity", hint: `CREATE EXTENSION "pg_trgm"`},
	{sql: `SELECT ST_Distance(a, b) FROM (SELECT 1 AS a, 2 AS b) q`, class: driver.UnknownName, code: "42883", at: "ST_Distance", hint: "extension postgis"},
	{sql: `SELECT CAST('POINT(1 2)' AS geometry)`, class: driver.UnknownName, code: "42704", at: "geometry", hint: "extension postgis"},
	{sql: `SELECT madlib.forest_train('a')`, class: driver.UnknownName, code: "3F000", at: "madlib.forest_train", hint: "MADlib is not installed"},
}

func TestErrorsSayWhatAndWhere(t *testing.T) {
	t.Parallel()
	w := open(t, pgtest.Database(t), postgres.Options{})
	exec(t, w, `CREATE SCHEMA geo`, `CREATE TABLE geo.points (id bigint PRIMARY KEY, speed double precision)`, `INSERT INTO geo.points VALUES (1, 2)`,
		`CREATE TABLE child (id bigint REFERENCES geo.points)`,
		`CREATE FUNCTION ratio(x integer) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT 1 / x + count(*) FROM geo.points); END $$`,
		`CREATE FUNCTION broken() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM nowhere); END $$`,
		`CREATE FUNCTION angry() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no % today', 'tea' USING HINT = 'Have coffee.', DETAIL = 'The pot is empty.'; END $$`)
	for _, c := range failures {
		e := failure(t, w, c.sql)
		if e.Class != c.class || e.Code != c.code || e.Table != c.table {
			t.Errorf("%s: class %q, code %q, table %q; want %q, %q, %q (%v)", c.sql, e.Class, e.Code, e.Table, c.class, c.code, c.table, e)
		}
		switch {
		case c.at != "" && (e.Position < 0 || !strings.HasPrefix(c.sql[e.Position:], c.at)):
			t.Errorf("%s: position %d, want that of %s", c.sql, e.Position, c.at)
		case c.at == "" && e.Position >= 0 && c.class != driver.Syntax:
			t.Errorf("%s: position %d, want none", c.sql, e.Position)
		}
		for _, part := range c.message {
			if !strings.Contains(e.Message, part) {
				t.Errorf("%s: %q is not in the message: %s", c.sql, part, e.Message)
			}
		}
		if !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%s: hint %q, want %q in it", c.sql, e.Hint, c.hint)
		}
	}
}

// TestExtensionElsewhere calls a function whose extension is there, in a schema that the session does not look into.
func TestExtensionElsewhere(t *testing.T) {
	t.Parallel()
	w := open(t, pgtest.Database(t), postgres.Options{})
	exec(t, w, `CREATE SCHEMA ext`, `CREATE EXTENSION tablefunc SCHEMA ext`)
	if e := failure(t, w, `SELECT normal_rand(1, 2)`); !strings.Contains(e.Hint, "No function matches") {
		t.Errorf("hint %q", e.Hint)
	}
	exec(t, w, `CREATE EXTENSION citext SCHEMA ext`)
	if e := failure(t, w, `SELECT CAST('a' AS citext)`); !strings.Contains(e.Hint, "write ext.citext") {
		t.Errorf("hint %q", e.Hint)
	}
}

func TestResourcesRunOut(t *testing.T) {
	t.Parallel()
	w := open(t, pgtest.Database(t)+"&temp_file_limit=1MB&max_stack_depth=100kB", postgres.Options{})
	e := failure(t, w, `SELECT count(*) FROM (SELECT x FROM generate_series(1, 1000000) AS g(x) ORDER BY md5(x::text)) q`)
	if e.Class != driver.DiskFull || !strings.Contains(e.Hint, "temp_file_limit") {
		t.Errorf("%q %v (%s)", e.Class, e, e.Hint)
	}
	if e := failure(t, w, `SELECT length(repeat('x', 1100000000))`); e.Class != driver.DataError {
		t.Errorf("%q %v", e.Class, e)
	}
	if e := failure(t, w, `SELECT `+strings.Repeat("(", 20000)+"1"+strings.Repeat(")", 20000)); e.Class != driver.Syntax {
		t.Errorf("%q %v", e.Class, e)
	}
}

// TestRights has a user who may use one schema and no more.
func TestRights(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	url := server.Database(t)
	admin := open(t, url, postgres.Options{})
	exec(t, admin, `CREATE ROLE poor LOGIN PASSWORD 'secret'`, `CREATE TABLE closed (x bigint)`, `REVOKE CREATE ON SCHEMA public FROM PUBLIC`)
	w := open(t, asUser(t, url, "poor", "secret"), postgres.Options{})
	if e := failure(t, w, `SELECT * FROM closed`); e.Class != driver.Permission || e.Code != "42501" {
		t.Errorf("%q %v", e.Class, e)
	}
	if e := failure(t, w, `CREATE TABLE public.mine (x bigint)`); e.Class != driver.Permission {
		t.Errorf("%q %v", e.Class, e)
	}
	readOnly := open(t, url+"&default_transaction_read_only=on", postgres.Options{})
	if e := failure(t, readOnly, `CREATE TABLE public.mine (x bigint)`); e.Class != driver.Permission {
		t.Errorf("%q %v", e.Class, e)
	}
}
