package cli_test

import (
	"os/exec"
	"strings"
	"testing"

	"damson/internal/pgtest"
)

// airflowScript is a script as it stands in an Airflow project: extensions, a function in Python, a DO block, a partition for
// the day, statements in its order.
const airflowScript = `
CREATE EXTENSION IF NOT EXISTS postgis;
CREATE EXTENSION IF NOT EXISTS plpython3u;
CREATE SCHEMA IF NOT EXISTS geo;

CREATE OR REPLACE FUNCTION geo.clock(seconds bigint) RETURNS text AS $$
    # {{ ds }}: a comment with a ; in it
    return "%02d:%02d" % (seconds // 60, seconds % 60)
$$ LANGUAGE plpython3u IMMUTABLE;

CREATE TABLE IF NOT EXISTS geo.trip (tdate date, uid text, way geometry(LineString, 4326), took text) PARTITION BY LIST (tdate);

DO $do$
BEGIN
    IF to_regclass('geo.trip_{{ ds_nodash }}') IS NOT NULL THEN
        EXECUTE 'DROP TABLE geo.trip_{{ ds_nodash }}';
    END IF;
END
$do$;
CREATE TABLE geo.trip_{{ ds_nodash }} PARTITION OF geo.trip FOR VALUES IN (DATE '{{ ds }}');

INSERT INTO geo.trip
SELECT DATE '{{ ds }}', 'u' || n, ST_SetSRID(ST_MakeLine(ST_MakePoint(116.3, 39.9), ST_MakePoint(116.3 + n * 0.01, 39.9)), 4326), geo.clock(60 + n)
FROM generate_series(1, 3) AS s(n);
`

// TestAirflowScriptRunsAsItIs runs it for two days and one of them again, and a broken one.
func TestAirflowScriptRunsAsItIs(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	dir := writeProject(t, gates{}, map[string]string{
		"damson.yaml": "name: trips\nenvironments:\n  dev:\n    warehouse: '" + url + "'\n",
		"pipelines/p.star": `p = pipeline(name = "p", schedule = "@daily", start = "2007-04-12", end = "2007-04-20")
p.sql("trip")
p.sql("broken")
p.sql("outside", transaction = "none")
`,
		"sql/trip.sql":    airflowScript,
		"sql/broken.sql":  "CREATE TABLE geo.kept (n bigint);\nDO $$\nBEGIN\n  PERFORM 1 / 0;\nEND\n$$;\n",
		"sql/outside.sql": "VACUUM ANALYZE geo.trip;\nCREATE INDEX CONCURRENTLY ON geo.trip_20070412 (uid);\n",
	})
	for _, day := range []string{"2007-04-12", "2007-04-13", "2007-04-12"} {
		if out := damson(t, dir, "run", "p", "--date", day, "--task", "trip"); !strings.Contains(out, "1 succeeded") {
			t.Fatalf("%s:\n%s", day, out)
		}
	}
	if out := damson(t, dir, "logs", "p@2007-04-12", "trip"); !strings.Contains(out, "statement 8 of 8: 3 rows") {
		t.Errorf("the log tells no progress:\n%s", out)
	}
	out := damson(t, dir, "query", "SELECT count(*), round(max(ST_Length(way::geography))), max(took) FROM geo.trip", "--format", "csv")
	if !strings.Contains(out, "6,2566,01:03") {
		t.Errorf("the rows are\n%s", out)
	}
	if out := damson(t, dir, "run", "p", "--date", "2007-04-12", "--task", "outside"); !strings.Contains(out, "1 succeeded") {
		t.Errorf("outside of a transaction:\n%s", out)
	}
	said, err := exec.Command("damson", "--project", dir, "run", "p", "--date", "2007-04-12", "--task", "broken").CombinedOutput()
	out = string(said)
	if err == nil || !strings.Contains(out, "sql/broken.sql:2") || !strings.Contains(out, "division by zero") || !strings.Contains(out, "line 3 at PERFORM") {
		t.Errorf("the error is\n%s", out)
	}
	if n := look(t, url).count("SELECT count(*) FROM pg_class WHERE relname = 'kept'"); n != 0 {
		t.Error("half of a script is there")
	}
}
