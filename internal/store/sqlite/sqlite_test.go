package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"damson/internal/diag"
	"damson/internal/run"
	"damson/internal/store"
	"damson/internal/store/driver"
	"damson/internal/store/sqlite"
	"damson/internal/store/storetest"
)

// crashFile names, in a child process, the database to write until it is killed.
const crashFile = "DAMSON_TEST_CRASH_FILE"

func TestMain(m *testing.M) {
	if file := os.Getenv(crashFile); file != "" {
		fmt.Fprintln(os.Stderr, writeUntilKilled(file))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func writeUntilKilled(file string) error {
	db, err := sqlite.Open(context.Background(), file)
	if err != nil {
		return err
	}
	s, err := store.New(context.Background(), db)
	if err != nil {
		return err
	}
	return storetest.WriteUntilKilled(s, os.Stdout)
}

func fresh(t *testing.T) storetest.Open {
	return at(filepath.Join(t.TempDir(), "a dir % with #?", "store.sqlite"))
}

func at(file string) storetest.Open {
	return func(t *testing.T) driver.DB {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		db, err := sqlite.Open(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, fresh)
}

func TestCrash(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "store.sqlite")
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashFile+"="+file)
	child.Stderr = os.Stderr
	storetest.Crash(t, at(file), child)
}

// TestUpgrade opens a store that an earlier Damson has made.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	open := fresh(t)
	old := open(t)
	script, err := os.ReadFile(filepath.Join("testdata", "schema1.sql"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Writer().ExecContext(t.Context(), string(script)); err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := store.New(t.Context(), open(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	change := run.Change{RunID: "r", Task: "x", From: run.Scheduled, To: run.Queued, At: time.UnixMicro(5)}
	if err := s.Commit(t.Context(), store.Batch{Changes: []run.Change{change}, Pipelines: []store.PipelineState{{Name: "p"}}}); err != nil {
		t.Error(err)
	}
	if l, err := s.Lease(t.Context()); err != nil || l != (store.Lease{}) {
		t.Errorf("the lease is %+v, %v", l, err)
	}
}

// TestDiskFull bounds the database's pages, which SQLite reports like a full disk.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	db := fresh(t)(t)
	s, err := store.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := db.Writer().ExecContext(t.Context(), `PRAGMA max_page_count = 60`); err != nil {
		t.Fatal(err)
	}
	lines := []run.LogLine{{Claim: run.Claim{RunID: "r", Task: "x", Attempt: 1}, Text: strings.Repeat("x", 40_000)}}
	acknowledged := 0
	for err == nil && acknowledged < 100 {
		if err = s.AddLogs(t.Context(), lines); err == nil {
			acknowledged++
		}
	}
	wantFinding(t, err, "disk is full")
	got, err := s.Logs(t.Context(), "r", "x", 0)
	if err != nil || len(got) != acknowledged || acknowledged == 0 {
		t.Errorf("%d lines were acknowledged, %d are there (%v)", acknowledged, len(got), err)
	}
	at := time.Date(2007, 4, 12, 0, 0, 0, 0, time.UTC)
	if _, err := s.CreateRuns(t.Context(), []run.Run{{ID: "r", Pipeline: "p", Start: at, End: at}}, nil); err != nil {
		t.Errorf("a small write after the refused one: %v", err)
	}
}

func TestCannotOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("this is not a database ", 100)), 0o666); err != nil {
		t.Fatal(err)
	}
	for file, summary := range map[string]string{
		filepath.Join(dir, "missing", "x.sqlite"): "No directory",
		filepath.Join(garbage, "x.sqlite"):        "No directory",
		dir:                                       "is a directory",
		garbage:                                   "damaged",
	} {
		_, err := sqlite.Open(t.Context(), file)
		wantFinding(t, err, summary)
	}
	if text, err := os.ReadFile(garbage); err != nil || !strings.HasPrefix(string(text), "this is not") {
		t.Errorf("a file that is no database was changed: %v", err)
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	_, err := sqlite.Open(t.Context(), filepath.Join(dir, "x.sqlite"))
	wantFinding(t, err, "cannot be written")
}

func wantFinding(t *testing.T, err error, summary string) {
	t.Helper()
	var f diag.Finding
	if !errors.As(err, &f) || !strings.Contains(f.Summary, summary) {
		t.Errorf("the error is %v, want a finding about %q", err, summary)
	}
}
