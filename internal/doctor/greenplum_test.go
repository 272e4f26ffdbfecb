package doctor

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"damson/internal/pgtest"
	"damson/internal/warehouse/postgres"
)

const mb = int64(1 << 20)

// geo are the tables of the tests.
var geo = []Table{{"geo", "even"}, {"geo", "heap"}, {"geo", "skewed"}}

// TestGreenplumStorage judges fake rows of both generations.
func TestGreenplumStorage(t *testing.T) {
	t.Parallel()
	var spread [][]any
	for segment := range int64(3) {
		spread = append(spread, []any{int64(101), segment, 100 * mb}, []any{int64(102), segment, 50 * mb}, []any{int64(201), segment, 120 * mb})
	}
	spread = append(spread, []any{int64(301), int64(0), 10 * mb}, []any{int64(301), int64(1), 280 * mb}, []any{int64(301), int64(2), 10 * mb})
	storage := [][]any{
		{"geo", "even", "DISTRIBUTED BY (uid)", "c", 300 * mb, int64(101)}, // two partitions
		{"geo", "even", "DISTRIBUTED BY (uid)", "c", 150 * mb, int64(102)},
		{"geo", "heap", "DISTRIBUTED BY (id)", "h", 360 * mb, int64(201)},
		{"geo", "skewed", "DISTRIBUTED BY (mode)", "c", 300 * mb, int64(301)},
		{"geo", "small", "DISTRIBUTED RANDOMLY", "h", 1 * mb, int64(401)},
	}
	for number, catalog := range map[int64]string{90426: "c.relstorage", 120012: "pg_catalog.pg_am"} {
		q := answers(t, map[string][][]any{catalog: storage, "gp_dist_random": spread})
		tables, err := askStorage(t.Context(), q, server{number: number}, geo)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "greenplum_storage.txt", text(judgeStorage(Needs{}, tables)))
	}
}

// TestGreenplumSegments judges clusters in various states.
func TestGreenplumSegments(t *testing.T) {
	t.Parallel()
	up := func(content int64, role, preferred, mode, status, place string) []any {
		return []any{content, role, preferred, mode, status, place}
	}
	for name, c := range map[string]struct {
		rows [][]any
		want string
	}{
		"well":            {[][]any{up(-1, "p", "p", "n", "u", "c:5432"), up(0, "p", "p", "s", "u", "a:6000"), up(0, "m", "m", "s", "u", "b:7000")}, "ok: 1 segment, all mirrored and in step\n"},
		"without mirrors": {[][]any{up(-1, "p", "p", "n", "u", "c:5432"), up(0, "p", "p", "n", "u", "a:6000"), up(1, "p", "p", "n", "u", "b:6000")}, "ok: 2 segments, without mirrors\n"},
		"a mirror down":   {[][]any{up(0, "p", "p", "n", "u", "a:6000"), up(0, "m", "m", "n", "d", "b:7000")}, "warning: 1 mirror down\n  If its partner fails too, the cluster stops: segment 0 at b:7000.\n"},
		"after a failure": {[][]any{up(0, "m", "p", "s", "u", "a:6000"), up(0, "p", "m", "s", "u", "b:7000")}, "warning: 2 segments not in the usual role\n"},
		"catching up":     {[][]any{up(0, "p", "p", "n", "u", "a:6000"), up(0, "m", "m", "n", "u", "b:7000")}, "warning: 1 mirror not in step\n"},
	} {
		all, err := askSegments(t.Context(), answers(t, map[string][][]any{"gp_segment_configuration": c.rows}))
		if err != nil {
			t.Fatal(err)
		}
		if got := text(judgeSegments(all)); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

// standIns are tables and functions of Greenplum's catalog, made in a PostgreSQL: enough to run every statement.
var standIns = []string{
	`CREATE SCHEMA gp`, `CREATE SCHEMA geo`,
	`CREATE TABLE geo.even (a int)`, `CREATE TABLE geo.heap (a int)`, `CREATE TABLE geo.skewed (a int) PARTITION BY RANGE (a)`,
	`CREATE TABLE geo.part PARTITION OF geo.skewed FOR VALUES FROM (0) TO (10)`,
	`INSERT INTO geo.heap SELECT generate_series(1, 1000)`,
	`CREATE VIEW gp.pg_class AS SELECT oid, relname, relnamespace, relkind, relam, reltuples, CAST('h' AS "char") AS relstorage FROM pg_catalog.pg_class`,
	`CREATE VIEW gp.pg_locks AS SELECT *, -1 AS gp_segment_id FROM pg_catalog.pg_locks`,
	`CREATE VIEW gp.segment_classes AS SELECT oid, 0 AS gp_segment_id FROM pg_catalog.pg_class`,
	`CREATE FUNCTION gp.gp_dist_random(text) RETURNS SETOF gp.segment_classes LANGUAGE sql AS 'SELECT * FROM gp.segment_classes'`,
	`CREATE FUNCTION gp.pg_get_table_distributedby(oid) RETURNS text LANGUAGE sql AS $$ SELECT 'DISTRIBUTED BY (a)' $$`,
	`CREATE TABLE gp.gp_segment_configuration (dbid int2, content int2, role "char", preferred_role "char", mode "char", status "char", port int4, hostname text)`,
	`INSERT INTO gp.gp_segment_configuration VALUES (1, -1, 'p', 'p', 'n', 'u', 5432, 'c'), (2, 0, 'p', 'p', 'n', 'u', 6000, 'a')`,
}

// TestGreenplumStatementsRun runs every statement of Greenplum's on a PostgreSQL with stand-ins for the catalog: it tells that they
// parse, and that their columns have the types that are read.
func TestGreenplumStatementsRun(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	run(t, open(t, address), standIns...)
	w := open(t, address+"&search_path=gp,pg_catalog,public")
	q := Query(func(ctx context.Context, sql string) (array.RecordReader, error) {
		return w.Query(ctx, strings.ReplaceAll(sql, "pg_catalog.", ""))
	})
	for _, number := range []int64{90426, 120012} {
		tables, err := askStorage(t.Context(), q, server{number: number}, geo)
		if err != nil {
			t.Fatal(err)
		}
		if len(tables) != 3 || tables[1].heap < 1000 || tables[1].heap != tables[1].bytes || tables[1].distribution != "DISTRIBUTED BY (a)" {
			t.Errorf("on %d: %+v", number, tables)
		}
	}
	spread, err := q.all(t.Context(), strings.Replace(spreadSQL, "$oids", "'geo.heap'::regclass", 1))
	if err != nil || len(spread) != 1 || spread[0].whole(2) < 1000 {
		t.Errorf("spread: %v, %v", spread, err)
	}
	if all, err := askSegments(t.Context(), q); err != nil || text(judgeSegments(all)) != "ok: 1 segment, without mirrors\n" {
		t.Errorf("segments: %v, %v", all, err)
	}
	if a, err := askActivity(t.Context(), q, greenplumWaitSQL); err != nil || len(a.waits) > 0 {
		t.Errorf("waits: %v, %v", a, err)
	}
}

// TestGreenplum examines real clusters; it needs DAMSON_TEST_GREENPLUM_URL.
func TestGreenplum(t *testing.T) {
	t.Parallel()
	urls := os.Getenv("DAMSON_TEST_GREENPLUM_URL")
	if urls == "" {
		t.Skip("DAMSON_TEST_GREENPLUM_URL names no Greenplum (greenplum://USER:PASSWORD@HOST:PORT/DATABASE; several with commas)")
	}
	files := map[string]string{}
	for name, content := range shop {
		files[name] = content
	}
	files["damson.yaml"] = "name: shop\nenvironments:\n  dev: {warehouse: 'greenplum://h/db'}\n"
	for _, address := range strings.Split(urls, ",") {
		w, err := postgres.Open(t.Context(), address, postgres.Options{})
		if err != nil {
			t.Fatal(err)
		}
		run(t, w, "DROP SCHEMA IF EXISTS out CASCADE", "CREATE SCHEMA out", "CREATE TABLE out.copy (id int, x float8) DISTRIBUTED BY (id)",
			"INSERT INTO out.copy SELECT 1, x FROM generate_series(1, 3000000) AS g(x)")
		checks := Examine(t.Context(), patientOf(loaded(t, files), address))
		for _, c := range checks {
			if c.Area == "warehouse" && (c.Status == NotChecked || c.What == "could not be looked at" || strings.HasPrefix(c.What, "no answer")) {
				t.Errorf("%s: %+v", c.Name, c)
			}
		}
		if got := named(checks, "warehouse", "storage"); !strings.Contains(got, "out.copy is spread unevenly") {
			t.Errorf("a table whose rows are all of one key:\n%s", got)
		}
		run(t, w, "DROP SCHEMA out CASCADE")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
