package warehouse

import (
	"errors"
	"fmt"
	"strings"

	"damson/internal/diag"
	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

// summaries name the kinds of failure in a few words.
var summaries = map[driver.Class]string{
	driver.Syntax:      "The SQL is not valid",
	driver.UnknownName: "Unknown name in the SQL",
	driver.Exists:      "The name is taken",
	driver.Constraint:  "A constraint refuses the rows",
	driver.DataError:   "A value does not fit",
	driver.OutOfMemory: "The warehouse is out of memory",
	driver.DiskFull:    "The disk is full",
	driver.Conflict:    "Another transaction changes the same rows",
	driver.Locked:      "Another session holds the lock",
	driver.Cancelled:   "The statement was stopped",
	driver.Connection:  "The warehouse does not answer",
	driver.Permission:  "The warehouse refuses access",
	driver.Internal:    "The warehouse has failed",
}

// finding tells a database's error at the place of the user's file that it concerns; the Cause is the *driver.Error.
// Errors that are findings already, and nil, stay as they are.
func finding(text sqltext.Text, err error) error {
	if err == nil || errors.As(err, new(diag.Finding)) || errors.As(err, new(diag.Findings)) {
		return err
	}
	f := diag.Finding{Severity: diag.Error, At: place(text, -1), Summary: "The warehouse reports an error", Detail: err.Error(), Cause: err}
	e := (*driver.Error)(nil)
	if !errors.As(err, &e) {
		return f
	}
	if s, ok := summaries[e.Class]; ok {
		f.Summary = s
	}
	f.At, f.Detail, f.Fix = place(text, e.Position), sentence(e.Message)+calledFrom(text, e.Position), e.Hint
	if e.InDoubt {
		f.Detail += "\nIt is not known whether the statement or transaction has done its work before."
	}
	if e.Class == driver.Conflict && f.Fix == "" {
		f.Fix = "Run it again. When it happens often, let the two tasks run one after the other."
	}
	return f
}

// place gives where in the user's file the statement's byte came from. A byte that the file does not have, and an unknown
// one, lead to the first place that the file does have; of a macro or an included file, that is where it was asked for.
func place(text sqltext.Text, offset int) diag.Pos {
	if offset >= 0 {
		if at := text.Pos(offset); at.File != "" {
			return at
		}
	}
	for i := range len(text.SQL()) {
		at := text.Pos(i)
		if callers := text.Callers(i); len(callers) > 0 {
			at = callers[len(callers)-1]
		}
		if at.File != "" {
			at.Col = 0
			return at
		}
	}
	return diag.Pos{}
}

// calledFrom tells, in a line of its own, who called the macro that wrote the statement's byte; "" when none did.
func calledFrom(text sqltext.Text, offset int) string {
	if offset < 0 {
		return ""
	}
	var places []string
	for _, at := range text.Callers(offset) {
		places = append(places, at.String())
	}
	if len(places) == 0 {
		return ""
	}
	return "\nCalled from " + strings.Join(places, ", called from ") + "."
}

// sentence ends a message with a full stop.
func sentence(s string) string {
	if s == "" || strings.ContainsAny(s[len(s)-1:], ".!?") {
		return s
	}
	return s + "."
}

// single gives the one statement that a text holds, without its semicolon.
func single(text sqltext.Text) (sqltext.Text, error) {
	statements := text.Split()
	switch len(statements) {
	case 1:
		return statements[0], nil
	case 0:
		return text, diag.Finding{
			Severity: diag.Error,
			At:       text.Pos(0),
			Summary:  "No SQL",
			Detail:   "There is no statement here, only blanks and comments.",
		}
	}
	return text, diag.Finding{
		Severity: diag.Error,
		At:       statements[1].Pos(0),
		Summary:  "One statement too many",
		Detail:   fmt.Sprintf("One SELECT belongs here, and these are %d statements.", len(statements)),
		Fix:      "Leave one statement, or make it a script: a task without into.",
	}
}

// transactionWords open statements that would end or nest the transaction in which a task runs.
var transactionWords = map[string]bool{
	"begin": true, "start": true, "commit": true, "end": true, "rollback": true, "abort": true, "savepoint": true, "release": true,
}

// noTransaction refuses a statement that would end the transaction around it.
func noTransaction(statement sqltext.Text) error {
	sql := statement.SQL()
	for at := 0; at < len(sql); {
		tok := sqltext.Next(sql, at)
		at = tok.To
		if !tok.Significant() {
			continue
		}
		word := sql[tok.From:tok.To]
		if !transactionWords[strings.ToLower(word)] {
			return nil
		}
		return diag.Finding{
			Severity: diag.Error,
			At:       statement.Pos(tok.From),
			Summary:  "A transaction inside a transaction",
			Detail:   fmt.Sprintf("%s cannot stand here: all statements of a task, and of a migration, already run in one transaction, which commits when all have succeeded.", strings.ToUpper(word)),
			Fix:      "Remove the statement.",
		}
	}
	return nil
}
