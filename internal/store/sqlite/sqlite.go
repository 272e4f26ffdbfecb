// Package sqlite keeps the store in one SQLite file: no server, no C compiler (modernc.org/sqlite). Its central function is
// Open. Writes are on the disk when they are acknowledged (write-ahead log, synchronous=FULL); one connection writes while
// several read. It refuses to guess: a file that is not a database is left alone.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	sqlitedriver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"damson/internal/diag"
	"damson/internal/store/driver"
)

// busyMilliseconds is how long a connection waits for a lock of another process.
const busyMilliseconds = 10_000

// readers is how many connections read.
const readers = 4

// database is an open file.
type database struct {
	file           string
	writer, reader *sql.DB
}

// Open opens or creates the database file. A directory that is missing or cannot be written, a full disk and a file that is
// not a database are diag.Findings.
func Open(ctx context.Context, file string) (driver.DB, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", file, err)
	}
	d := &database{file: file}
	if err := d.check(); err != nil {
		return nil, err
	}
	d.writer, err = sql.Open("sqlite", d.source("_journal_mode=WAL", "_synchronous=FULL", "_txlock=immediate"))
	if err != nil {
		return nil, d.Explain(err)
	}
	d.writer.SetMaxOpenConns(1)
	if err := d.writer.PingContext(ctx); err != nil {
		return nil, errors.Join(d.Explain(err), d.writer.Close())
	}
	d.reader, err = sql.Open("sqlite", d.source("_query_only=1"))
	if err != nil {
		return nil, errors.Join(d.Explain(err), d.writer.Close())
	}
	d.reader.SetMaxOpenConns(readers)
	d.reader.SetMaxIdleConns(readers)
	return d, nil
}

// check finds out, before SQLite does in fewer words, what keeps the file from being opened.
func (d *database) check() error {
	dir := filepath.Dir(d.file)
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return diag.Finding{Summary: "No directory for the store", Detail: fmt.Sprintf("%s does not exist.", dir),
			Fix: "Create it, or name another place.", Cause: err}
	case err != nil:
		return fmt.Errorf("looking at %s: %w", dir, err)
	case !info.IsDir():
		return diag.Finding{Summary: "No directory for the store", Detail: fmt.Sprintf("%s is not a directory.", dir),
			Fix: "Move that file away, or name another place."}
	}
	if info, err := os.Stat(d.file); err == nil && info.IsDir() {
		return diag.Finding{Summary: "The store is a directory", Detail: fmt.Sprintf("%s is a directory; the store is a file.", d.file),
			Fix: "Move it away, or name another place."}
	}
	return nil
}

// source is the data source name of the file with pragmas.
func (d *database) source(options ...string) string {
	name := "file:" + (&url.URL{Path: filepath.ToSlash(d.file)}).EscapedPath() +
		"?_busy_timeout=" + strconv.Itoa(busyMilliseconds) + "&_pragma=cache_size(-16000)"
	for _, o := range options {
		name += "&" + o
	}
	return name
}

func (d *database) Writer() *sql.DB { return d.writer }
func (d *database) Reader() *sql.DB { return d.reader }

// Dialect of SQLite.
func (d *database) Dialect() driver.Dialect {
	return driver.Dialect{
		Name:        "sqlite",
		Begin:       "BEGIN IMMEDIATE",
		Placeholder: func(int) string { return "?" }, // looking up "?1" by name costs a quarter of a write
		Types: map[string]string{"SERIAL_KEY": "INTEGER PRIMARY KEY", "GROWING_KEY": "INTEGER PRIMARY KEY AUTOINCREMENT",
			"BYTES": "BLOB", "CLUSTERED": "WITHOUT ROWID"},
	}
}

// Explain tells what SQLite's result codes mean for the person whose disk it is.
func (d *database) Explain(err error) error {
	var e *sqlitedriver.Error
	if !errors.As(err, &e) {
		return err
	}
	f := diag.Finding{Cause: err}
	switch e.Code() & 0xff { // the rest is the extended code
	case lib.SQLITE_FULL:
		f.Summary = "The disk is full"
		f.Detail = fmt.Sprintf("Damson could not write its state to %s. What was acknowledged before is safe.", d.file)
		f.Fix = "Free some space on that disk and run the same command again."
	case lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN, lib.SQLITE_PERM:
		f.Summary = "The store cannot be written"
		f.Detail = fmt.Sprintf("Damson may not write %s and its neighbours -wal and -shm in %s (%s).", d.file, filepath.Dir(d.file), e)
		f.Fix = "Make the directory and the files writable for the user that runs Damson."
	case lib.SQLITE_NOTADB, lib.SQLITE_CORRUPT:
		f.Summary = "The store is damaged"
		f.Detail = fmt.Sprintf("%s is not a database that SQLite can read (%s).", d.file, e)
		f.Fix = "Restore it from a backup, or move it away: Damson then begins with an empty history."
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		f.Summary = "The store is in use"
		f.Detail = fmt.Sprintf("Another process has held %s locked for %d seconds.", d.file, busyMilliseconds/1000)
		f.Fix = "Wait for the other Damson on this project to end, or stop it."
	case lib.SQLITE_IOERR:
		f.Summary = "The store's disk does not answer"
		f.Detail = fmt.Sprintf("Reading or writing %s: %s.", d.file, e)
		f.Fix = "Check the disk and its free space."
	default:
		return err
	}
	return f
}

// Close closes all connections; the last one merges the write-ahead log into the file.
func (d *database) Close() error { return errors.Join(d.reader.Close(), d.writer.Close()) }

// watchInterval is how often Watch looks.
const watchInterval = 100 * time.Millisecond

// Watch looks at PRAGMA data_version, which changes with each commit of another connection, this process's own among them.
// The pragma reads one page of shared memory: looking costs some microseconds.
func (d *database) Watch(ctx context.Context, signal func()) (<-chan struct{}, error) {
	pool, err := sql.Open("sqlite", d.source("_query_only=1"))
	if err != nil {
		return nil, err
	}
	conn, err := pool.Conn(ctx) // the pragma counts for one connection
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	look := func() (version int64, err error) {
		err = conn.QueryRowContext(ctx, `PRAGMA data_version`).Scan(&version)
		return version, err
	}
	seen, err := look()
	if err != nil {
		return nil, errors.Join(err, conn.Close(), pool.Close())
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer pool.Close()
		defer conn.Close()
		tick := time.NewTicker(watchInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if version, err := look(); err != nil || version != seen { // what cannot be seen may have changed
				seen = version
				signal()
			}
		}
	}()
	return ended, nil
}
