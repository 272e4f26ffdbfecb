package pgtest

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestMain(m *testing.M) { Main(m) }

func ask(url, query string) (answer string, err error) {
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.Background())
	err = conn.QueryRow(context.Background(), query).Scan(&answer)
	return answer, err
}

func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	one, two := Database(t), Database(t)
	if _, err := ask(one, `CREATE TABLE x AS SELECT 1 AS x`); err == nil || one == two {
		t.Fatal("CREATE TABLE gives a row, or databases are the same")
	}
	if n, err := ask(two, `SELECT COUNT(*)::TEXT FROM pg_tables WHERE tablename = 'x'`); err != nil || n != "0" {
		t.Errorf("the other database has %s tables: %v", n, err)
	}
	if on, err := ask(one, `SHOW fsync`); err != nil || on != "on" {
		t.Errorf("fsync is %s: %v", on, err)
	}
}

func TestServerStopsAndStarts(t *testing.T) {
	t.Parallel()
	s := Start(t)
	url := s.Database(t)
	for _, end := range []func(){s.Stop, s.Kill} {
		end()
		if _, err := ask(url, `SHOW fsync`); err == nil || s.Running() {
			t.Fatal("a stopped server answers")
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := ask(url, `SHOW fsync`); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLongStatementsFail: the server tells of them in its log, whose lines are as long, and goes on.
func TestLongStatementsFail(t *testing.T) {
	t.Parallel()
	url := Database(t)
	for range 3 {
		if _, err := ask(url, "SELEC /* "+strings.Repeat("x", 200_000)+" */"); err == nil {
			t.Fatal("SELEC is taken for SQL")
		}
	}
	if on, err := ask(url, `SHOW fsync`); err != nil || on != "on" {
		t.Errorf("fsync is %s: %v", on, err)
	}
}
