package migrate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damson/internal/migrate"
)

// files makes files of the folder, each with its own name as its text.
func files(names ...string) []migrate.File {
	var list []migrate.File
	for _, name := range names {
		list = append(list, migrate.File{Path: "migrations/" + name, Text: "-- " + name + "\nselect 1;\n"})
	}
	return list
}

// read reads files that have no findings.
func read(t *testing.T, names ...string) []migrate.Migration {
	t.Helper()
	migrations, findings := migrate.Read(files(names...))
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	return migrations
}

// TestOrder is by number, whatever the digits and gaps.
func TestOrder(t *testing.T) {
	t.Parallel()
	got := fmt.Sprint(read(t, "V10__c.sql", "V9__b.sql", "V0001__a.sql", "V20240229103000__e.sql", "V0__zero.sql", "V0011__d.sql"))
	if want := "[V0__zero V0001__a V9__b V10__c V0011__d V20240229103000__e]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestVariants says which file stands for a migration on each kind of warehouse.
func TestVariants(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		files                       string
		duckdb, postgres, greenplum string
	}{
		{"V1__x.sql", "V1__x.sql", "V1__x.sql", "V1__x.sql"},
		{"V1__x.sql V1__x.postgres.sql", "V1__x.sql", "V1__x.postgres.sql", "V1__x.postgres.sql"},
		{"V1__x.sql V1__x.postgres.sql V1__x.greenplum.sql", "V1__x.sql", "V1__x.postgres.sql", "V1__x.greenplum.sql"},
		{"V1__x.greenplum.sql V1__x.duckdb.sql", "V1__x.duckdb.sql", "", "V1__x.greenplum.sql"},
		{"V1__x.postgres.sql", "", "V1__x.postgres.sql", "V1__x.postgres.sql"},
	} {
		migrations := read(t, strings.Fields(test.files)...)
		if len(migrations) != 1 {
			t.Fatalf("%s: %d migrations", test.files, len(migrations))
		}
		for kind, want := range map[string]string{"duckdb": test.duckdb, "postgres": test.postgres, "greenplum": test.greenplum} {
			v, ok := migrations[0].For(kind)
			if got := strings.TrimPrefix(v.File, "migrations/"); got != want || ok != (want != "") {
				t.Errorf("%s on %s: %q, %v; want %q", test.files, kind, got, ok, want)
			}
		}
	}
}

// TestRefusedFiles gives each file that cannot be taken one finding, and leaves it out.
func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ file, want string }{
		{"001_add.sql", `Did you mean "V001__add.sql"?`},
		{"v002__add.sql", `Did you mean "V002__add.sql"?`},
		{"V002_add.greenplum.sql", `Did you mean "V002__add.greenplum.sql"?`},
		{"V002__add users.sql", `Did you mean "V002__add_users.sql"?`},
		{"add_users.sql", `Did you mean "V0010__add_users.sql"?`},
		{"V2.1__add.sql", "for example to V0010__what_it_does.sql"},
		{"V002__.sql", "for example to V0010__what_it_does.sql"},
		{"V002__ä.sql", "for example to V0010__what_it_does.sql"},
		{"V1234567890123456789__x.sql", "for example to V0010__"},
		{"V002__add.SQL", `Did you mean "V002__add.sql"?`},
		{"V002__add.mysql.sql", "duckdb, greenplum, postgres"},
		{"V002__add.postgresql.sql", `Did you mean "postgres"?`},
		{"V002__add.v2.sql", "Unknown kind of warehouse"},
		{"old/V002__add.sql", "Move it to migrations/V002__add.sql."},
		{"V9__nine.sql", "migrations/V0009__nine.sql has the number 9 already"},
		{"V0009__other.sql", "has the number 9 already"},
		{"V0009__other.postgres.sql", "the same name: V0009__nine.postgres.sql"},
	} {
		migrations, findings := migrate.Read(files("V0009__nine.sql", test.file))
		if len(findings) != 1 || !strings.Contains(findings[0].Error(), test.want) || findings[0].At.File != "migrations/"+test.file {
			t.Errorf("%s: want one finding with %q, have:\n%s", test.file, test.want, findings.Error())
		}
		if len(migrations) != 1 || len(migrations[0].Variants) != 1 {
			t.Errorf("%s: taken all the same: %v", test.file, migrations)
		}
	}
}

// TestDirective reads `transaction = none` at the head of a file only, and refuses what it does not know.
func TestDirective(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text, want string
		alone      bool
	}{
		{"select 1;", "", false},
		{"-- damson: transaction = none\nvacuum;", "", true},
		{"/* licence */\n\n--damson:transaction=none\r\nvacuum;", "", true},
		{"-- about damson: it is a plum\nselect 1;", "", false},
		{"select '\n-- damson: x\n';", "", false},
		{"-- damson: transaction = no\nvacuum;", "V1__x.sql:1:1: Unknown directive", false},
		{"-- damson: lock = none\nvacuum;", "V1__x.sql:1:1: Unknown directive", false},
		{"vacuum;\n -- damson: transaction = none\n", "V1__x.sql:2:2: Directive too late", false},
	} {
		migrations, findings := migrate.Read([]migrate.File{{Path: "migrations/V1__x.sql", Text: test.text}})
		if test.want == "" && len(findings) > 0 || !strings.Contains(findings.Error(), test.want) {
			t.Errorf("%q: want %q, have:\n%s", test.text, test.want, findings.Error())
		}
		if got := migrations[0].Variants[0].Alone; got != test.alone {
			t.Errorf("%q: alone = %v", test.text, got)
		}
	}
}

// row is a row of the history as the file of that name makes it.
func row(version int64, file string, state migrate.RowState) migrate.Row {
	v := migrate.Variant{Text: files(file)[0].Text}
	_, name, _ := strings.Cut(strings.TrimSuffix(file, ".sql"), "__")
	return migrate.Row{Version: version, Name: name, File: "migrations/" + file, Checksum: v.Checksum(), State: state, Statements: 3, Done: 1,
		At: time.Date(2024, 2, 29, 10, 30, 0, 0, time.UTC), By: "ada@mill"}
}

// edited is the row of a file that had another text then.
func edited(version int64, file string) migrate.Row {
	r := row(version, file, migrate.RowApplied)
	r.Checksum = "0123456789abcdef"
	return r
}

// TestPlan compares files with a history: how each migration stands, what is ahead, and what stops that.
func TestPlan(t *testing.T) {
	t.Parallel()
	done := func(v int64, file string) migrate.Row { return row(v, file, migrate.RowApplied) }
	for _, test := range []struct {
		name    string
		files   string
		history []migrate.Row
		want    string // states in order
		ahead   string
		stops   []string // parts of the refusals
	}{
		{name: "nothing at all"},
		{name: "a new database", files: "V1__a.sql V2__b.sql", want: "1:pending 2:pending", ahead: "V1__a V2__b"},
		{name: "all applied", files: "V1__a.sql V2__b.sql", history: []migrate.Row{done(1, "V1__a.sql"), done(2, "V2__b.sql")}, want: "1:applied 2:applied"},
		{name: "one behind", files: "V1__a.sql V2__b.sql V9__c.sql", history: []migrate.Row{done(1, "V1__a.sql"), done(2, "V2__b.sql")},
			want: "1:applied 2:applied 9:pending", ahead: "V9__c"},
		{name: "a baseline", files: "V1__a.sql V2__b.sql V3__c.sql",
			history: []migrate.Row{row(1, "V1__a.sql", migrate.RowBaseline), row(2, "V2__b.sql", migrate.RowBaseline)}, want: "1:baseline 2:baseline 3:pending", ahead: "V3__c"},
		{name: "a file below the baseline", files: "V1__a.sql V2__b.sql", history: []migrate.Row{row(2, "V2__b.sql", migrate.RowBaseline)},
			want: "1:out_of_order 2:baseline", ahead: "V1__a", stops: []string{"V1__a has not been applied, and V2"}},
		{name: "a changed file", files: "V1__a.sql V2__b.sql V3__c.sql", history: []migrate.Row{edited(1, "V1__a.sql"), done(2, "V2__b.sql")},
			want: "1:changed 2:applied 3:pending", ahead: "V3__c",
			stops: []string{"on 2024-02-29 10:30 UTC by ada@mill with the checksum 01234567|Restore migrations/V1__a.sql from version control|migrations/V4__….sql"}},
		{name: "a changed baseline", files: "V1__a.sql", history: []migrate.Row{{Version: 1, File: "migrations/V1__a.sql", Checksum: "00", State: migrate.RowBaseline}},
			want: "1:changed", stops: []string{"has changed"}},
		{name: "a deleted file", files: "V2__b.sql", history: []migrate.Row{done(1, "V1__a.sql"), done(2, "V2__b.sql")}, want: "1:missing 2:applied",
			stops: []string{"from migrations/V1__a.sql, which is not there|Restore"}},
		{name: "a database ahead of the files", files: "V1__a.sql", history: []migrate.Row{done(1, "V1__a.sql"), done(2, "V2__b.sql")}, want: "1:applied 2:missing",
			stops: []string{"If the database is ahead of your files, update them"}},
		{name: "a new file between applied ones", files: "V1__a.sql V2__b.sql V3__c.sql", history: []migrate.Row{done(1, "V1__a.sql"), done(3, "V3__c.sql")},
			want: "1:applied 2:out_of_order 3:applied", ahead: "V2__b", stops: []string{"number above V3|--out-of-order"}},
		{name: "half-way", files: "V1__a.sql V2__b.sql", history: []migrate.Row{row(1, "V1__a.sql", migrate.RowStarted)}, want: "1:half_way 2:pending", ahead: "V2__b",
			stops: []string{"with 1 of 3 statements done|damson migrate mark V1 pending|damson migrate mark V1 applied"}},
		{name: "half-way, and the file changed since", files: "V1__b.sql", history: []migrate.Row{row(1, "V1__a.sql", migrate.RowStarted)}, want: "1:half_way",
			stops: []string{"half-way"}},
		{name: "an applied file renamed", files: "V1__a.sql", history: []migrate.Row{{Version: 1, Name: "old", File: "migrations/V1__old.sql",
			Checksum: done(1, "V1__a.sql").Checksum, State: migrate.RowApplied}}, want: "1:applied"},
		{name: "not for this warehouse", files: "V1__a.sql V2__b.greenplum.sql V3__c.sql", history: []migrate.Row{done(1, "V1__a.sql")},
			want: "1:applied 2:skipped 3:pending", ahead: "V3__c"},
		{name: "applied, and now for other warehouses only", files: "V1__a.greenplum.sql", history: []migrate.Row{done(1, "V1__a.sql")}, want: "1:missing",
			stops: []string{"which is not there"}},
		{name: "a variant for this warehouse after the plain one", files: "V1__a.sql V1__a.duckdb.sql", history: []migrate.Row{done(1, "V1__a.sql")}, want: "1:changed",
			stops: []string{"from migrations/V1__a.sql, and now migrations/V1__a.duckdb.sql stands for it"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			entries := migrate.Plan(read(t, strings.Fields(test.files)...), test.history, "duckdb")
			var states, ahead []string
			for _, e := range entries {
				states = append(states, fmt.Sprintf("%d:%s", e.Version, e.State))
			}
			for _, e := range migrate.Ahead(entries, -1) {
				ahead = append(ahead, e.String())
			}
			if d := cmp.Diff([]string{test.want, test.ahead}, []string{strings.Join(states, " "), strings.Join(ahead, " ")}); d != "" {
				t.Errorf("states and what is ahead (-want +got)\n%s", d)
			}
			refusals := migrate.Refusals(entries, false)
			if len(refusals) != len(test.stops) {
				t.Fatalf("%d refusals, want %d:\n%s", len(refusals), len(test.stops), refusals.Error())
			}
			for i, parts := range test.stops {
				for _, part := range strings.Split(parts, "|") {
					if !strings.Contains(refusals[i].Error(), part) {
						t.Errorf("want %q in:\n%s", part, refusals[i].Error())
					}
				}
				if refusals[i].Fix == "" || !refusals[i].IsError() {
					t.Errorf("no fix: %s", refusals[i].Error())
				}
			}
			if checked := migrate.Check(entries); len(checked) != len(test.stops)+strings.Count(test.want, "pending") {
				t.Errorf("Check finds\n%s", checked.Error())
			}
		})
	}
}

// TestAhead stops at a number, and out of order is a matter of permission.
func TestAhead(t *testing.T) {
	t.Parallel()
	entries := migrate.Plan(read(t, "V1__a.sql", "V2__b.sql", "V3__c.sql", "V4__d.sql"), []migrate.Row{row(2, "V2__b.sql", migrate.RowApplied)}, "duckdb")
	for to, want := range map[int64]string{-1: "[V1__a V3__c V4__d]", 0: "[]", 1: "[V1__a]", 3: "[V1__a V3__c]"} {
		if got := fmt.Sprint(migrate.Ahead(entries, to)); got != want {
			t.Errorf("to %d: %s, want %s", to, got, want)
		}
	}
	if len(migrate.Refusals(entries, false)) != 1 || len(migrate.Refusals(entries, true)) != 0 {
		t.Error("one out of order is refused, unless allowed")
	}
	if level := migrate.Level(entries); level != "V2" {
		t.Errorf("the warehouse is at %q", level)
	}
}

// TestChecksum is over the text without its line ends.
func TestChecksum(t *testing.T) {
	t.Parallel()
	const want = "911169ddaaf146aff539f58c26c489af3b892dff0fe283c1c264c65ae5aa59a2" // printf 'a\nb\n' | sha256sum
	for text, same := range map[string]bool{"a\nb\n": true, "a\r\nb\r\n": true, "a\nb": false, "a\n\nb\n": false} {
		if got := (migrate.Variant{Text: text}).Checksum(); (got == want) != same {
			t.Errorf("%q has the checksum %s", text, got)
		}
	}
}
