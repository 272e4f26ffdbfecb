//go:build duckdb_arrow

package duckdb_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"damson/internal/diag"
	"damson/internal/warehouse/driver"
	"damson/internal/warehouse/duckdb"
	"damson/internal/warehouse/rows"
)

// holdFile names, for TestMain, the database that this process is to hold until its input ends.
const holdFile = "DAMSON_TEST_HOLD"

func TestMain(m *testing.M) {
	if path := os.Getenv(holdFile); path != "" {
		w, err := duckdb.Open(context.Background(), duckdb.Options{Path: path})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("open")
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = w.Close()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// finding opens a database that cannot be opened and gives why.
func finding(t *testing.T, o duckdb.Options) diag.Finding {
	t.Helper()
	w, err := duckdb.Open(t.Context(), o)
	if err == nil {
		_ = w.Close()
		t.Fatalf("%+v opens", o)
	}
	var f diag.Finding
	if !errors.As(err, &f) {
		t.Fatalf("error is %T (%v), want a diag.Finding", err, err)
	}
	return f
}

func TestSecondProcessIsNamed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "held.duckdb")
	holder := exec.Command(os.Args[0])
	holder.Env = append(os.Environ(), holdFile+"="+path)
	input, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if line, _ := bufio.NewReader(output).ReadString('\n'); line != "open\n" {
		t.Fatalf("the other process says %q", line)
	}
	f := finding(t, duckdb.Options{Path: path})
	var e *driver.Error
	if !errors.As(f, &e) || e.Class != driver.Locked {
		t.Errorf("cause is %v, want class %q", f.Cause, driver.Locked)
	}
	if pid := fmt.Sprint(holder.Process.Pid); !strings.Contains(f.Detail, pid) || !strings.Contains(f.Fix, pid) {
		t.Errorf("process %s is not named in: %v", pid, f)
	}
	if err := errors.Join(input.Close(), holder.Wait()); err != nil {
		t.Fatal(err)
	}
	open(t, duckdb.Options{Path: path})
}

func TestWhatCannotBeOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.duckdb")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("no database\n", 2000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		o    duckdb.Options
		part string
	}{
		{"damaged", duckdb.Options{Path: garbage}, "damaged or not a DuckDB database"},
		{"no directory", duckdb.Options{Path: filepath.Join(dir, "no", "x.duckdb")}, "directory does not exist"},
		{"a directory", duckdb.Options{Path: dir}, dir},
		{"memory", duckdb.Options{MemoryLimit: "much"}, "much"},
		{"read only and absent", duckdb.Options{Path: filepath.Join(dir, "absent.duckdb"), ReadOnly: true}, "absent.duckdb"},
	} {
		f := finding(t, c.o)
		if !strings.Contains(f.Error(), c.part) || strings.Contains(f.Error(), "{\"") {
			t.Errorf("%s: %q is not in %v", c.name, c.part, f)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "with space % and ünï ?.duckdb")
	w := open(t, duckdb.Options{Path: path, MemoryLimit: "300MiB", Threads: 2, TempDir: t.TempDir()})
	r, err := w.Query(t.Context(), `SELECT current_setting('threads'), current_setting('memory_limit'), current_setting('TimeZone'),
		current_setting('autoinstall_known_extensions'), current_setting('autoload_known_extensions')`)
	if err != nil {
		t.Fatal(err)
	}
	row, err := rows.ReadOne(r)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(row); got != "[2 300.0 MiB UTC false false]" {
		t.Errorf("settings are %s", got)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestClassesOfFailure(t *testing.T) {
	t.Parallel()
	w := open(t, duckdb.Options{Path: filepath.Join(t.TempDir(), "x.duckdb"), MemoryLimit: "60MB", Threads: 1})
	for _, c := range []struct {
		sql   string
		class driver.Class
	}{
		{`SELECT string_agg(md5(CAST(x AS text)), ',') FROM range(20000000) AS t(x)`, driver.OutOfMemory},
		{`COPY (SELECT md5(CAST(x AS text)) FROM range(100000) AS t(x)) TO '/dev/full' (FORMAT csv)`, driver.DiskFull},
		{`SELECT 1 FROM read_csv('/no/such/file.csv')`, driver.Unclassified},
	} {
		_, err := w.Exec(t.Context(), c.sql)
		var e *driver.Error
		if !errors.As(err, &e) || e.Class != c.class {
			t.Errorf("%s\ngives %#v, want class %q", c.sql, err, c.class)
		}
	}
}

func TestCloseWithReader(t *testing.T) {
	t.Parallel()
	w := open(t, duckdb.Options{})
	r, err := w.Query(t.Context(), `SELECT x FROM range(100000) AS t(x)`)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if all, err := rows.ReadAll(r); len(all) != 100000 || err != nil {
		t.Errorf("a reader that is older than Close gives %d rows, %v", len(all), err)
	}
	if _, err := w.Query(t.Context(), `SELECT 1`); err == nil {
		t.Error("a closed warehouse answers")
	}
}

func TestParquet(t *testing.T) {
	t.Parallel()
	w := open(t, duckdb.Options{})
	const sql = `SELECT x, CAST(x AS double) / 2 AS half, 'ünï ' || x AS name, CASE WHEN x % 3 = 0 THEN NULL ELSE x END AS some,
		DATE '2007-04-12' + CAST(x % 30 AS integer) AS day, TIMESTAMP '2007-04-12' + INTERVAL (x) SECOND AS moment, x % 2 = 0 AS even FROM range(50000) AS t(x)`
	r, err := w.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	path := filepath.Join(t.TempDir(), "it's.parquet")
	if err := duckdb.WriteParquet(t.Context(), path, r); err != nil {
		t.Fatal(err)
	}
	back, err := duckdb.ReadParquet(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	expected, err := w.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	want, err := rows.ReadAll(expected)
	if err != nil {
		t.Fatal(err)
	}
	got, err := rows.ReadAll(back)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d rows come back of %d", len(got), len(want))
	}
	for i := range want {
		if fmt.Sprint(got[i]) != fmt.Sprint(want[i]) {
			t.Fatalf("row %d is %v, want %v", i, got[i], want[i])
		}
	}
}

func TestParquetFails(t *testing.T) {
	t.Parallel()
	w := open(t, duckdb.Options{})
	path := filepath.Join(t.TempDir(), "half.parquet")
	r, err := w.Query(t.Context(), `SELECT CASE WHEN x < 4000000 THEN x ELSE CAST('no' AS bigint) + x END AS x FROM range(5000000) AS t(x)`)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	err = duckdb.WriteParquet(t.Context(), path, r)
	if err == nil || !strings.Contains(err.Error(), "Could not convert string 'no'") && !strings.Contains(err.Error(), "broke off") {
		t.Errorf("writing a stream that breaks gives %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a file is left behind: %v", err)
	}
	if _, err := duckdb.ReadParquet(t.Context(), path); err == nil || !strings.Contains(err.Error(), "half.parquet") {
		t.Errorf("reading a file that is not there gives %v", err)
	}
	empty, err := w.Query(t.Context(), `SELECT 1 AS x`)
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Release()
	if err := duckdb.WriteParquet(t.Context(), filepath.Join(path, "no", "dir"), empty); err == nil {
		t.Error("a file in no directory is written")
	}
}
