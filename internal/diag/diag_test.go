package diag_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"damson/internal/diag"
)

func TestFindingReadsAsWhereWhatWhyFix(t *testing.T) {
	t.Parallel()
	f := diag.Finding{
		At:      diag.Pos{File: "pipelines/geolife.star", Line: 14, Col: 7},
		Summary: "Unknown task",
		Detail:  "\"clean\" runs after \"fetsh\",\nwhich this pipeline does not define.",
		Fix:     `Did you mean "fetch"?`,
	}
	want := "pipelines/geolife.star:14:7: Unknown task\n  \"clean\" runs after \"fetsh\",\n  which this pipeline does not define.\n  Fix: Did you mean \"fetch\"?"
	if got := f.Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	f.Severity = diag.Warning
	if f.IsError() || (diag.Findings{f}).Err() != nil {
		t.Error("a warning must not stop the work")
	}
}

func TestAsFindingKeepsAFindingAndItsCause(t *testing.T) {
	t.Parallel()
	inner := diag.Finding{Summary: "No such file", Cause: fs.ErrNotExist}
	if got := diag.AsFinding("reading", fmt.Errorf("load: %w", inner)); got.Summary != "No such file" || !errors.Is(got, fs.ErrNotExist) {
		t.Errorf("got %+v", got)
	}
	if got := diag.AsFinding("reading", errors.New("boom")); got.Summary != "reading" || got.Detail != "boom" {
		t.Errorf("got %+v", got)
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"ds", "ds_nodash", "logical_date", "schedule", "retries", "a"}
	for word, want := range map[string]string{
		"dss": "ds", "schedul": "schedule", "shcedule": "schedule", "RETRIES": "retries", "logicaldate": "logical_date",
		"trigger": "", "": "", "completely_else": "", "k": "", "A": "a",
	} {
		if got := diag.Nearest(word, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestSortIsByPlace(t *testing.T) {
	t.Parallel()
	at := func(file string, line, col int) diag.Finding {
		return diag.Finding{At: diag.Pos{File: file, Line: line, Col: col}}
	}
	fs := diag.Findings{at("b", 1, 1), at("a", 2, 1), at("a", 1, 9), at("a", 1, 2)}
	fs.Sort()
	got := ""
	for _, f := range fs {
		got += f.At.String() + " "
	}
	if got != "a:1:2 a:1:9 a:2:1 b:1:1 " {
		t.Errorf("got %s", got)
	}
}
