package cli_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestQueryServed: while a server has the embedded warehouse open, query goes through it; the server gives rows to nobody
// else, and leaves no note behind.
func TestQueryServed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, "damson.yaml", "name: q\n")
	writeFile(t, dir, "pipelines/p.star", `p = pipeline(name = "p")
p.sql("numbers", into = "x.numbers")
`)
	writeFile(t, dir, "sql/numbers.sql", "select range as n, 'text' as t from range(300000)\n")
	server := startServer(t, dir, nil, "serve", "--listen", "127.0.0.1:0")
	server.await(t, "this process leads")
	damson(t, dir, "run", "p")
	if out := damson(t, dir, "query", "select count(*) as n, sum(n)::bigint as s from x.numbers", "--format", "csv"); out != "n,s\n300000,44999850000\n" {
		t.Errorf("the rows are\n%s", out)
	}
	if out := damson(t, dir, "query", "select n from x.numbers order by n desc", "--format", "csv"); strings.Count(out, "\n") != 300001 || !strings.HasSuffix(out, "\n0\n") {
		t.Errorf("%d lines", strings.Count(out, "\n"))
	}
	for sql, want := range map[string]string{
		"select nope from x.numbers":                                        "query:1:8: Unknown name in the SQL",
		"select case when n = 299999 then error('late') end from x.numbers": "late",
	} {
		out, err := exec.Command("damson", "--project", dir, "query", sql, "--format", "csv", "--out", filepath.Join(dir, "rows.csv")).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s gave %v:\n%s", sql, err, out)
		}
		if _, err := os.Stat(filepath.Join(dir, "rows.csv")); err == nil {
			t.Errorf("%s left half a file", sql)
		}
	}
	note := filepath.Join(dir, ".damson", "server.json")
	text, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	var said struct{ URL string }
	if err := json.Unmarshal(text, &said); err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(said.URL+"/api/v1/query", "text/plain", strings.NewReader("select 1"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("without the token the server says %s", response.Status)
	}
	server.stop(t)
	if _, err := os.Stat(note); !os.IsNotExist(err) {
		t.Errorf("the note stays: %v", err)
	}
	if out := damson(t, dir, "query", "select count(*) as n from x.numbers", "--format", "csv"); out != "n\n300000\n" {
		t.Errorf("after the server the rows are\n%s", out)
	}
}
