package cli_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"damson/internal/pgtest"
)

// migrateProject has a migration that waits at two gates, between its first and its last statement.
func migrateProject(t *testing.T, head string, g gates) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, dir, "pipelines/p.star", "p = pipeline(name = \"p\")\n")
	writeFile(t, dir, "migrations/V001__first.sql", "create table first (a int)\n")
	writeFile(t, dir, "migrations/V002__gates.sql", head+`create table if not exists gates (a int);
copy (select 1) to '{{ var.value.first_gate }}' (format csv, use_tmp_file false);
copy (select 2) to '{{ var.value.second_gate }}' (format csv, use_tmp_file false);
insert into gates values (1);
`)
	setGates(t, dir, g)
	return dir
}

// killMigrate kills -9 a `migrate up` that stands at the second gate.
func killMigrate(t *testing.T, dir string, g gates) {
	t.Helper()
	cmd := exec.Command("damson", "--project", dir, "migrate", "up")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pass(t, g.first)
	if out, err := exec.Command("damson", "--project", dir, "migrate", "up").CombinedOutput(); err == nil || !strings.Contains(string(out), "`damson migrate up` (process") {
		t.Errorf("a second one at the same time got %v:\n%s", err, out)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatalf("migrate up ended before it was killed:\n%s", output.String())
	}
}

// TestKilledMigration kills -9 in the middle of a migration's transaction: nothing of it is there, and the next one completes it.
func TestKilledMigration(t *testing.T) {
	t.Parallel()
	g := newGates(t)
	dir := migrateProject(t, "", g)
	killMigrate(t, dir, g)
	setGates(t, dir, open)
	if out := damson(t, dir, "migrate", "status"); !strings.Contains(out, "first  applied") || !strings.Contains(out, "gates  pending") {
		t.Errorf("after the kill:\n%s", out)
	}
	damson(t, dir, "migrate", "up")
	if out := damson(t, dir, "query", "select count(*) as n from gates", "--format", "csv"); out != "n\n1\n" {
		t.Errorf("the table has\n%s", out)
	}
	damson(t, dir, "migrate", "check")
}

// TestKilledMigrationAlone kills -9 a migration that runs without a transaction: it stands half-way, nothing goes on over it, and a
// person has it run again.
func TestKilledMigrationAlone(t *testing.T) {
	t.Parallel()
	g := newGates(t)
	dir := migrateProject(t, "-- damson: transaction = none\n", g)
	killMigrate(t, dir, g)
	setGates(t, dir, open)
	out, err := exec.Command("damson", "--project", dir, "migrate", "up").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "A migration stands half-way") || !strings.Contains(string(out), "of 4 statements done") {
		t.Errorf("the next one got %v:\n%s", err, out)
	}
	damson(t, dir, "query", "select * from gates") // what ended before the kill has stayed
	damson(t, dir, "migrate", "mark", "V002", "pending")
	damson(t, dir, "migrate", "up")
	if out := damson(t, dir, "query", "select count(*) as n from gates", "--format", "csv"); out != "n\n1\n" {
		t.Errorf("the table has\n%s", out)
	}
	damson(t, dir, "migrate", "check")
}

// TestMigratePostgres applies from two processes at once, while a server runs on the project: each migration once, in its form for
// PostgreSQL.
func TestMigratePostgres(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, "damson.yaml", "name: pg\nenvironments: {dev: {warehouse: \""+pgtest.Database(t)+"\"}}\n")
	writeFile(t, dir, "pipelines/p.star", "p = pipeline(name = \"p\")\n")
	writeFile(t, dir, "migrations/V1__rows.sql", "create table no_rows (a int)\n")
	writeFile(t, dir, "migrations/V1__rows.postgres.sql", "create table {{ warehouse.kind }}_rows (a int);\nselect pg_sleep(0.2);\n")
	writeFile(t, dir, "migrations/V2__more.sql", "insert into postgres_rows values (1), (2)\n")
	writeFile(t, dir, "migrations/V3__index.sql", "-- damson: transaction = none\ncreate index concurrently on postgres_rows (a);\nvacuum postgres_rows;\n")
	if out, err := exec.Command("damson", "--project", dir, "migrate", "check").CombinedOutput(); err == nil || !strings.Contains(string(out), "3 not in order") {
		t.Errorf("check says %v\n%s", err, out)
	}
	server := serve(t, dir)
	server.await(t, "migrations are not in order: V1__rows (pending)")
	outputs := make(chan string, 2)
	for range 2 {
		go func() {
			out, err := exec.Command("damson", "--project", dir, "migrate", "up", "--to", "V2").CombinedOutput()
			if err != nil {
				out = append(out, "\n"+err.Error()...)
			}
			outputs <- string(out)
		}()
	}
	both := <-outputs + <-outputs
	for _, want := range []string{"V1__rows.postgres.sql: applied, 2 statements", "V2__more.sql: applied, 1 statement"} {
		if strings.Count(both, want) != 1 {
			t.Errorf("want %q once in what both say:\n%s", want, both)
		}
	}
	if strings.Contains(both, "error") {
		t.Errorf("one has failed:\n%s", both)
	}
	damson(t, dir, "migrate", "up")
	damson(t, dir, "migrate", "check")
	if out := damson(t, dir, "query", "select count(*) as n from postgres_rows", "--format", "csv"); out != "n\n2\n" {
		t.Errorf("the table has\n%s", out)
	}
}

// TestMigrateSecrets shows no secret that a migration is rendered with.
func TestMigrateSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, "damson.yaml", "name: s\nvars: {token: '${env:MIGRATE_TOKEN}'}\n")
	writeFile(t, dir, "pipelines/p.star", "p = pipeline(name = \"p\")\n")
	writeFile(t, dir, "migrations/V1__a.sql", "create table a as select '{{ var.value.token }}' as b;\nselect cast('{{ var.value.token }}' as int);\n")
	for _, args := range [][]string{{"--dry-run"}, {}} {
		cmd := exec.Command("damson", append([]string{"--project", dir, "migrate", "up"}, args...)...)
		cmd.Env = append(os.Environ(), "MIGRATE_TOKEN=plum-stone")
		out, _ := cmd.CombinedOutput()
		if strings.Contains(string(out), "plum-stone") || !strings.Contains(string(out), "******") {
			t.Errorf("migrate up %v shows\n%s", args, out)
		}
	}
}
