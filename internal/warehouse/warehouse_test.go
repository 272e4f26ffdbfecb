package warehouse

import (
	"strings"
	"testing"
	"time"

	"damson/internal/diag"
	"damson/internal/sqltext"
	"damson/internal/warehouse/driver"
)

func TestPartitionOfAnInterval(t *testing.T) {
	t.Parallel()
	moment := func(s string) time.Time {
		m, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, c := range []struct {
		name       string
		kind       driver.Type
		start, end string
		inside     string // "" = refused
	}{
		{"a day", driver.Date, "2007-04-12T00:00:00Z", "2007-04-13T00:00:00Z", `"c" >= DATE '2007-04-12' AND "c" < DATE '2007-04-13'`},
		{"a month", driver.Date, "2007-04-01T00:00:00Z", "2007-05-01T00:00:00Z", `"c" >= DATE '2007-04-01' AND "c" < DATE '2007-05-01'`},
		{"the last hour of a day", driver.Date, "2007-12-31T23:00:00Z", "2008-01-01T00:00:00Z", `"c" >= DATE '2007-12-31' AND "c" < DATE '2008-01-01'`},
		{"a moment", driver.Date, "2007-12-31T10:00:00Z", "2007-12-31T10:00:00Z", `"c" >= DATE '2007-12-31' AND "c" < DATE '2008-01-01'`},
		{"noon to noon", driver.Date, "2007-04-12T12:00:00Z", "2007-04-13T12:00:00Z", `"c" >= DATE '2007-04-12' AND "c" < DATE '2007-04-13'`},
		{"another zone", driver.Date, "2007-04-12T00:00:00+08:00", "2007-04-13T00:00:00+08:00", `"c" >= DATE '2007-04-12' AND "c" < DATE '2007-04-13'`},
		{"an end told in UTC", driver.Date, "2007-04-12T00:00:00+08:00", "2007-04-12T16:00:00Z", `"c" >= DATE '2007-04-12' AND "c" < DATE '2007-04-13'`},
		{"moments of another zone", driver.Timestamp, "2007-04-12T00:00:00+08:00", "2007-04-13T00:00:00+08:00", `"c" >= TIMESTAMP '2007-04-11 16:00:00' AND "c" < TIMESTAMP '2007-04-12 16:00:00'`},
		{"moments", driver.Timestamp, "2007-04-12T10:00:00Z", "2007-04-12T10:30:00.5Z", `"c" >= TIMESTAMP '2007-04-12 10:00:00' AND "c" < TIMESTAMP '2007-04-12 10:30:00.5'`},
		{"no width", driver.Timestamp, "2007-04-12T10:00:00Z", "2007-04-12T10:00:00Z", ""},
		{"backwards", driver.Date, "2007-04-13T00:00:00Z", "2007-04-12T00:00:00Z", ""},
		{"no date", driver.Text, "2007-04-12T00:00:00Z", "2007-04-13T00:00:00Z", ""},
	} {
		p, err := newPartition(driver.Column{Name: "c", Type: c.kind}, Interval{moment(c.start), moment(c.end)})
		switch {
		case (err != nil) != (c.inside == ""):
			t.Errorf("%s: error %v", c.name, err)
		case err == nil && p.inside(p.column.Name) != c.inside:
			t.Errorf("%s: %s, want %s", c.name, p.inside(p.column.Name), c.inside)
		}
	}
}

func TestTransactionWordsAreRefusedWhereTheyOpenAStatement(t *testing.T) {
	t.Parallel()
	for sql, refused := range map[string]bool{
		"COMMIT": true, "begin transaction": true, "/* x */ Rollback": true, "end": true,
		"SELECT 'commit'": false, "INSERT INTO begin_times VALUES (1)": false, "-- commit\nDELETE FROM t": false, `"commit"`: false,
	} {
		if err := noTransaction(sqltext.Plain("x.sql", sql)); (err != nil) != refused {
			t.Errorf("%q: %v", sql, err)
		}
	}
}

func TestFindingNamesTheCallerOfAMacro(t *testing.T) {
	t.Parallel()
	task := sqltext.NewSource("sql/x.sql", "select a,\n  {{ outer() }} from t")
	macros := sqltext.NewSource("macros/m.sql", "inner\n{{ inner() }}")
	var b sqltext.Builder
	b.Enter(task, 12)
	b.Enter(macros, 6)
	b.Copy(macros, 0, 5)
	b.Leave()
	b.Copy(macros, 5, 6)
	b.Leave()
	b.Copy(task, 25, 32)
	var around sqltext.Builder
	around.Add("insert into t ")
	around.Append(b.Text())
	text := around.Text()
	for _, c := range []struct {
		position   int
		at, detail string
	}{
		{16, "macros/m.sql:1:3", "A value.\nCalled from macros/m.sql:2:1, called from sql/x.sql:2:3."},
		{19, "macros/m.sql:1:6", "A value.\nCalled from sql/x.sql:2:3."},
		{21, "sql/x.sql:2:17", "A value."},
		{-1, "sql/x.sql:2", "A value."}, // a place that is not known is in the task's own file
	} {
		f := diag.AsFinding("", finding(text, &driver.Error{Class: driver.DataError, Message: "A value", Position: c.position}))
		if f.At.String() != c.at || f.Detail != c.detail {
			t.Errorf("position %d gives %s %q, want %s %q", c.position, f.At, f.Detail, c.at, c.detail)
		}
	}
}

func TestFindingLeadsToTheUsersFile(t *testing.T) {
	t.Parallel()
	var b sqltext.Builder
	b.Add("INSERT INTO t SELECT * FROM (\n")
	b.Append(sqltext.Plain("sql/x.sql", "SELECT a,\n  b FROM t"))
	b.Add("\n) AS q")
	text := b.Text()
	for _, c := range []struct {
		position int
		at       string
	}{
		{strings.Index(text.SQL(), "b FROM"), "sql/x.sql:2:3"},
		{3, "sql/x.sql:1"},                   // in the INSERT that Damson wrote
		{-1, "sql/x.sql:1"},                  // the database does not tell
		{len(text.SQL()) - 1, "sql/x.sql:1"}, // behind the user's text
	} {
		err := finding(text, &driver.Error{Class: driver.DataError, Message: "a value", Hint: "cast it", Position: c.position})
		f := diag.AsFinding("", err)
		if f.At.String() != c.at || f.Detail != "a value." || f.Fix != "cast it" || f.Summary != "A value does not fit" {
			t.Errorf("position %d gives %+v, want it at %s", c.position, f, c.at)
		}
	}
	if finding(text, nil) != nil {
		t.Error("no error is a finding")
	}
}
