package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"damson/internal/pgtest"
	"damson/internal/warehouse/postgres"
	"damson/internal/warehouse/rows"
)

// gone is how soon the SQL of a task that is over has left the database.
const gone = 5 * time.Second

// endless are statements that take hours: one that waits, and one that computes and has nothing to send.
var endless = map[string]string{
	"waiting":   "select pg_sleep(86400)",
	"computing": "select count(*) from generate_series(1, 1000000000) as a(x), generate_series(1, 1000) as b(y) where x * y = -1",
}

// database is a test's own look into the database.
type database struct {
	*testing.T
	w *postgres.Warehouse
}

func look(t *testing.T, url string) database {
	t.Helper()
	w, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return database{t, w}
}

// count gives a query's only number.
func (d database) count(sql string) int64 {
	d.Helper()
	r, err := d.w.Query(d.Context(), sql)
	if err != nil {
		d.Fatal(err)
	}
	row, err := rows.ReadOne(r)
	if err != nil {
		d.Fatal(err)
	}
	return row[0].(int64)
}

// running counts the statements under way with a text in them.
func (d database) running(text string) int64 {
	d.Helper()
	return d.count(fmt.Sprintf("select count(*) from pg_stat_activity where state = 'active' and datname = current_database() and pid <> pg_backend_pid() and query like '%%%s%%'", text))
}

// await waits until so many statements with a text run, and gives how long that took.
func (d database) await(text string, n int64) time.Duration {
	d.Helper()
	began := time.Now()
	eventually(d.T, func() string {
		if got := d.running(text); got != n {
			return fmt.Sprintf("%d statements with %s run, not %d", got, text, n)
		}
		return ""
	})
	return time.Since(began)
}

// writeEndless writes a project on a PostgreSQL database, with a task of an endless statement.
func writeEndless(t *testing.T, url, sql, options string) string {
	t.Helper()
	return writeProject(t, open, map[string]string{
		"damson.yaml":      "name: late\nenvironments:\n  dev:\n    warehouse: '" + url + "'\n",
		"pipelines/p.star": `pipeline(name = "p").sql("long"` + options + ")\n",
		"sql/long.sql":     "create table kept (n bigint);\n" + sql + ";\n",
	})
}

// TestSQLThatIsOverIsGoneFromPostgreSQL ends tasks in the middle of a statement, in every way there is, and asks the database
// whether it still runs. Nothing of the transaction may be there.
func TestSQLThatIsOverIsGoneFromPostgreSQL(t *testing.T) {
	t.Parallel()
	for what, sql := range endless {
		for how, end := range map[string]struct {
			options string
			signal  os.Signal // nil: the task's timeout ends it
		}{
			"timeout": {`, timeout = "1s"`, nil},
			"Ctrl-C":  {"", os.Interrupt},
			"kill -9": {"", syscall.SIGKILL},
		} {
			t.Run(what+" "+how, func(t *testing.T) {
				t.Parallel()
				url := pgtest.Database(t)
				d := look(t, url)
				cmd := exec.Command("damson", "--project", writeEndless(t, url, sql, end.options), "run", "p")
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = cmd.Process.Kill() })
				d.await(sql, 1)
				allowed := gone
				if end.signal == nil {
					allowed += time.Second
				} else if err := cmd.Process.Signal(end.signal); err != nil {
					t.Fatal(err)
				}
				if took := d.await(sql, 0); took > allowed {
					t.Errorf("the statement ran on for %s", took)
				}
				if err := cmd.Wait(); err == nil {
					t.Error("the run has succeeded")
				}
				if n := d.count("select count(*) from pg_class where relname = 'kept'"); n != 0 {
					t.Error("the transaction has left its table")
				}
			})
		}
	}
}

// TestServerWaitsForItsWarehouse starts a server while the database is away: it leads once that is back.
func TestServerWaitsForItsWarehouse(t *testing.T) {
	t.Parallel()
	database := pgtest.Start(t)
	url := database.Database(t)
	dir := writeEndless(t, url, "select 1", "")
	database.Stop()
	s := startServer(t, dir, nil, "serve", "--listen", "")
	s.await(t, "the warehouse does not answer")
	if err := database.Start(); err != nil {
		t.Fatal(err)
	}
	s.await(t, "this process leads")
	if out := damson(t, dir, "run", "p"); !strings.Contains(out, "success") {
		t.Errorf("the run ended with:\n%s", out)
	}
	s.stop(t)
}
