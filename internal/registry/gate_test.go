package registry_test

import (
	"errors"
	"strings"
	"testing"

	"damson/internal/diag"
	"damson/internal/metric"
	"damson/internal/registry"
)

func TestGates(t *testing.T) {
	t.Parallel()
	report := metric.Report{Rows: 500, Metrics: map[string]float64{"auc": 0.875, "log_loss": 0.25},
		Segments: &metric.Segments{Metrics: map[string]float64{"accuracy": 0.9375}},
		Folds:    &metric.Folds{Metrics: map[string]float64{"auc": 0.85}}}
	champion := &metric.Report{Metrics: map[string]float64{"auc": 0.88, "log_loss": 0.25}}
	for _, c := range []struct {
		expr     string
		champion *metric.Report
		passed   bool
		detail   string
	}{
		{"auc >= 0.875", nil, true, "auc is 0.875, equal to 0.875"},
		{"auc > 0.875", nil, false, "auc is 0.875, equal to 0.875"},
		{"auc<=.875", nil, true, "auc is 0.875, equal to 0.875"},
		{"log_loss < 2.5e-1", nil, false, "log_loss is 0.25, equal to 0.25"},
		{"rows >= 1000", nil, false, "rows is 500, below 1000"},
		{"segment.accuracy >= 0.92", nil, true, "segment.accuracy is 0.9375, above 0.92"},
		{"cv.auc >= 0.8", nil, true, "cv.auc is 0.85, above 0.8"},
		{"auc >= champion.auc", champion, false, "auc is 0.875, below 0.88 (champion's 0.88)"},
		{"auc >= champion.auc - 0.25", champion, true, "auc is 0.875, above 0.63 (champion's 0.88 - 0.25)"},
		{"auc >= 0.25 + champion.auc - 0.5", champion, true, "auc is 0.875, above 0.63 (0.25 + champion's 0.88 - 0.5)"},
		{"auc >= -0.5 + champion.log_loss", champion, true, "auc is 0.875, above -0.25 (-0.5 + champion's 0.25)"},
		{"auc >= champion.auc", nil, true, "auc is 0.875; there is no champion to compare with"},
		{"f1 >= 0.5", nil, false, "f1 is not known: the held-out rows do not define it"},
		{"cv.segment.auc >= 0.5", nil, false, "cv.segment.auc is not known: it needs cross_validation and a segment column, and rows of both classes"},
		{"auc >= champion.cv.auc", champion, false, "auc is 0.875, but the champion's cv.auc is not known: it needs cross_validation, and rows of both classes"},
	} {
		g, err := registry.ParseGate(c.expr)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		if got := g.Judge(report, c.champion); got.Passed != c.passed || got.Detail != c.detail || got.Expr != c.expr {
			t.Errorf("%s: %+v, want %v, %s", c.expr, got, c.passed, c.detail)
		}
	}
}

func TestBadGates(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		"":                           "the end stands where a metric should",
		"auk >= 0.5":                 `Did you mean "auc"?`,
		"segment.acuracy >= 0.5":     `Did you mean "segment.accuracy"?`,
		"nonsense > 1":               "Metrics are rows, positives, auc",
		"auc":                        "after auc comes the end",
		"auc = 0.5":                  `after auc comes "="`,
		"auc => 0.5":                 `after auc comes "="`,
		"auc >=":                     "the end stands where a number or champion.metric should",
		"auc >= 0.5 0.6":             `"0.6" stands where + or - should`,
		"auc >= champion.auk":        `Did you mean "auc"?`,
		"auc >= champion.paired.auc": `compares "paired.auc", which no report has`,
		"paired.acu.low >= 0":        `Did you mean "auc.low"?`,
		"paired.segment.auc >= 0":    "which no comparison on shared rows has",
		"paired.silhouette >= 0":     "which no comparison on shared rows has",
		"paired. >= 0":               "which no comparison on shared rows has",
		"auc >= champion":            `"champion" stands where a number or champion.metric should`,
		"auc >= + 1":                 `"+" stands before the first number`,
		"auc >= 1 -":                 "the end stands where a number or champion.metric should",
		"auc >= 0x":                  `"0x" stands where a number`,
		"auc >= nan":                 `"nan" stands where a number`,
		"0.5 <= auc":                 `"0.5" stands where a metric should`,
		"auc >= 0.5; drop table x":   `";" stands where + or - should`,
	} {
		err := registry.CheckGate(expr)
		var f diag.Finding
		if !errors.As(err, &f) || f.Fix == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, want %s", expr, err, want)
		}
	}
}

func FuzzParseGate(f *testing.F) {
	for _, s := range []string{"auc >= 0.85", "auc >= champion.auc - 0.01", "cv.segment.auc<1e-3", "auc >= 0x1p-2", "é > 1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		g, err := registry.ParseGate(text)
		if err != nil {
			return
		}
		if got := g.Judge(metric.Report{}, nil); got.Detail == "" {
			t.Fatalf("%q is judged without a word", text)
		}
		if _, err := registry.ParseGate(g.Expr); err != nil {
			t.Fatalf("%q was read, %q was not: %v", text, g.Expr, err)
		}
	})
}
