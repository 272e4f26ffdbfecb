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
		{"another zone", driver.Date, "2007-04-12T00:00:00+08:00", "2007-04-13T00:00:00+08:00", `"c" >= DATE '2007-04-11' AND "c" < DATE '2007-04-12'`},
		{"moments", driver.Timestamp, "2007-04-12T10:00:00Z", "2007-04-12T10:30:00.5Z", `"c" >= TIMESTAMP '2007-04-12 10:00:00' AND "c" < TIMESTAMP '2007-04-12 10:30:00.5'`},
		{"no width", driver.Timestamp, "2007-04-12T10:00:00Z", "2007-04-12T10:00:00Z", ""},
		{"backwards", driver.Date, "2007-04-13T00:00:00Z", "2007-04-12T00:00:00Z", ""},
		{"no date", driver.Text, "2007-04-12T00:00:00Z", "2007-04-13T00:00:00Z", ""},
	} {
		p, err := newPartition(driver.Column{Name: "c", Type: c.kind}, Interval{moment(c.start), moment(c.end)})
		switch {
		case (err != nil) != (c.inside == ""):
			t.Errorf("%s: error %v", c.name, err)
		case err == nil && p.inside() != c.inside:
			t.Errorf("%s: %s, want %s", c.name, p.inside(), c.inside)
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
