//go:build duckdb_arrow

package duckdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"damson/internal/diag"
	"damson/internal/warehouse/driver"
)

// report is an error as DuckDB writes it with errors_as_json.
type report struct {
	Type     string `json:"exception_type"`
	Message  string `json:"exception_message"`
	Subtype  string `json:"error_subtype"`
	Position string `json:"position"` // from 0, see byteOffset
	Errno    string `json:"errno"`
}

// newError gives the driver's error for an error text of DuckDB: JSON, JSON behind "Parser Error: ", or, before the
// database is open, plain text "IO Error: …".
func newError(text string) *driver.Error {
	r := report{Position: "-1"}
	start := strings.Index(text, `{"exception_type"`)
	if start < 0 || json.Unmarshal([]byte(text[start:]), &r) != nil {
		r = report{Message: text, Position: "-1"}
		if kind, rest, ok := strings.Cut(text, " Error: "); ok && len(kind) < 30 {
			r.Type, r.Message = kind, rest
		}
	}
	position, err := strconv.Atoi(r.Position)
	if err != nil {
		position = -1
	}
	message, hint := splitHint(r.Message)
	e := &driver.Error{Class: classify(r), Code: r.Type, Message: message, Hint: hint, Position: position}
	if m := noTable.FindStringSubmatch(message); m != nil && e.Class == driver.UnknownName {
		e.Table = m[1]
	}
	switch e.Class {
	case driver.OutOfMemory:
		e.Hint = "Raise the warehouse's memory limit in damson.yaml, lower its threads, or give the statement less at a time."
	case driver.DiskFull:
		e.Hint = "Make room on the disk that holds the database and its temporary files, then run again."
	}
	return e
}

// byteOffset gives the byte of the statement at which an error of preparing it stands. DuckDB's parser, unlike what comes
// after it, counts characters.
func byteOffset(sql string, e *driver.Error) int {
	if e.Code != "Parser" || e.Position < 0 {
		return e.Position
	}
	characters := 0
	for i := range sql {
		if characters == e.Position {
			return i
		}
		characters++
	}
	return len(sql)
}

// classify tells the kind of failure.
func classify(r report) driver.Class {
	switch r.Type {
	case "Parser", "Syntax":
		return driver.Syntax
	case "Catalog":
		switch {
		case strings.Contains(r.Message, "does not exist"):
			return driver.UnknownName
		case strings.Contains(r.Message, "already exists"):
			return driver.Exists
		}
	case "Binder":
		if strings.HasSuffix(r.Subtype, "NOT_FOUND") || strings.Contains(r.Message, "not found") || strings.Contains(r.Message, "does not have a column") {
			return driver.UnknownName
		}
		return driver.Syntax
	case "Constraint":
		return driver.Constraint
	case "Conversion", "Out of Range", "Divide by Zero", "Invalid Input", "Mismatch Type", "Decimal", "Object Size":
		return driver.DataError
	case "Out of Memory":
		if strings.Contains(r.Message, "max_temp_directory_size") {
			return driver.DiskFull
		}
		return driver.OutOfMemory
	case "IO":
		return classifyIO(r)
	case "INTERRUPT", "Interrupt":
		return driver.Cancelled
	case "TransactionContext":
		return classifyTransaction(r)
	case "Connection":
		return driver.Connection
	case "Permission":
		return driver.Permission
	case "INTERNAL", "FATAL":
		if strings.Contains(r.Message, "No space left on device") {
			return driver.DiskFull
		}
		return driver.Internal
	}
	return driver.Unclassified
}

// Errno values of Linux and macOS.
const (
	errnoNoSpace = "28"
	errnoAccess  = "13"
)

func classifyIO(r report) driver.Class {
	switch {
	case r.Errno == errnoNoSpace || strings.Contains(r.Message, "No space left on device"):
		return driver.DiskFull
	case strings.Contains(r.Message, "Could not set lock"):
		return driver.Locked
	case r.Errno == errnoAccess || strings.Contains(r.Message, "Permission denied"):
		return driver.Permission
	}
	return driver.Unclassified
}

func classifyTransaction(r report) driver.Class {
	switch {
	case strings.Contains(strings.ToLower(r.Message), "constraint"):
		return driver.Constraint
	case strings.Contains(strings.ToLower(r.Message), "conflict"):
		return driver.Conflict
	}
	return driver.Internal
}

// errorFrom takes the error out of DuckDB's error object and frees it; nil when there is none.
func errorFrom(data *bindings.ErrorData) error {
	defer bindings.DestroyErrorData(data)
	if data.Ptr == nil || !bindings.ErrorDataHasError(*data) {
		return nil
	}
	return newError(bindings.ErrorDataMessage(*data))
}

// shift moves an error's position when bytes of the statement stood before the user's SQL.
func shift(err error, before int) error {
	e := (*driver.Error)(nil)
	if before == 0 || !errors.As(err, &e) || e.Position < 0 {
		return err
	}
	moved := *e
	moved.Position = max(-1, e.Position-before)
	return &moved
}

// cancelled is the error of a statement that was stopped because ctx ended.
func cancelled(ctx context.Context) error {
	message := "The statement was stopped."
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		message = "The statement was stopped because its time was up."
	}
	return &driver.Error{Class: driver.Cancelled, Message: message, Position: -1, Cause: ctx.Err()}
}

// holder finds the other process in DuckDB's text about a locked file.
var holder = regexp.MustCompile(`held in (.+?) \(PID (\d+)\)`)

// openError tells why a database cannot be opened. Its Cause is the *driver.Error.
func openError(o Options, err error) error {
	name := o.Path
	if name == "" {
		name = "in memory"
	}
	f := diag.Finding{Severity: diag.Error, Summary: "The warehouse " + name + " cannot be opened", Detail: err.Error(), Cause: err}
	e := (*driver.Error)(nil)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Detail = "Its directory does not exist."
		f.Fix = "Make the directory, or correct the warehouse's path in damson.yaml."
	case !errors.As(err, &e):
	case e.Class == driver.Locked:
		f.Detail = "Another process holds the file; only one process at a time can."
		f.Fix = "Wait until that process ends, or end it."
		if m := holder.FindStringSubmatch(e.Message); m != nil {
			f.Detail = fmt.Sprintf("Process %s (%s) holds the file; only one process at a time can.", m[2], m[1])
			f.Fix = fmt.Sprintf("Wait until process %s ends, or end it.", m[2])
		}
	case strings.Contains(e.Message, "not a valid DuckDB database file"):
		f.Detail = "The file exists, but it is damaged or not a DuckDB database."
		f.Fix = "Restore it from a backup, or move it away: the next start makes an empty one."
	default:
		f.Detail, f.Fix = e.Message, e.Hint
	}
	return f
}
