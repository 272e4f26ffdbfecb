package leak

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"damson/internal/diag"
)

// From these values on there is a finding.
const (
	MostAUC         = 0.99  // of a feature alone
	MostR2          = 0.99  // of a feature alone
	LeastIdentical  = 0.001 // share of held-out rows that are training rows, too
	MostCorrelation = 1 - 1e-9
)

// Evidence is what was counted of the rows of both sides.
type Evidence struct {
	Groups   []Straddle
	Times    Overlap
	Rows     Repeats
	Features []Feature
	Same     []Twin
}

// Straddle counts the groups of a column that have rows on both sides, and their held-out rows, of all held-out ones.
type Straddle struct {
	Column           string
	Groups, Rows, Of int64
	Examples         []string // the first three of the groups
}

// Overlap counts the training rows that are later than the first held-out one, of all training rows.
type Overlap struct {
	Rows, Of int64
	From, To float64 // Unix seconds of the first held-out and of the last training row; infinite = not known
}

// Repeats counts held-out rows that have the features and the target of a training row, of all held-out ones.
type Repeats struct {
	Rows, Of int64
	Distinct int64 // training rows without repetition, and held-out rows that repeat none
	All      int64 // rows of both sides
}

// Feature is what one feature says.
type Feature struct {
	Name     string
	Constant bool    // one value, or none, in all training rows
	AUC      float64 // with which it predicts a class alone; 0 = no better than MostAUC
	Class    string  // of several, the one that it predicts
	R2       float64 // with which it predicts a number alone
}

// Twin is a feature that says the same as one before it.
type Twin struct {
	Feature, Other string
	Correlation    float64 // 0 = they are equal
}

// Judge gives findings by their kind, in the order that the kinds have, then as the evidence stands.
func Judge(e Evidence) []Finding {
	var out []Finding
	for _, g := range e.Groups {
		if g.Groups > 0 {
			out = append(out, Finding{Kind: GroupOnBothSides, Column: g.Column, Groups: g.Groups, Rows: g.Rows, Of: g.Of, Examples: g.Examples})
		}
	}
	if t := e.Times; t.Rows > 0 && !math.IsInf(t.From, 0) && !math.IsInf(t.To, 0) {
		out = append(out, Finding{Kind: TimeOverlap, Rows: t.Rows, Of: t.Of, From: t.From, To: t.To})
	}
	// Where most rows repeat others anyway, that says nothing.
	if r := e.Rows; r.Rows > 0 && float64(r.Rows) >= LeastIdentical*float64(r.Of) && 2*r.Distinct >= r.All {
		out = append(out, Finding{Kind: RowOnBothSides, Rows: r.Rows, Of: r.Of})
	}
	for _, f := range e.Features {
		switch {
		case f.Constant:
			out = append(out, Finding{Kind: Constant, Feature: f.Name})
		case f.AUC > MostAUC:
			out = append(out, Finding{Kind: Predicts, Feature: f.Name, Class: f.Class, Measure: "AUC", Value: f.AUC})
		case f.R2 > MostR2:
			out = append(out, Finding{Kind: Predicts, Feature: f.Name, Measure: "R²", Value: f.R2})
		}
	}
	for _, t := range e.Same {
		same := Finding{Kind: Duplicate, Feature: t.Feature, Other: t.Other}
		if t.Correlation != 0 {
			same.Measure, same.Value = "correlation", t.Correlation
		}
		out = append(out, same)
	}
	order := []Kind{GroupOnBothSides, TimeOverlap, RowOnBothSides, Predicts, Constant, Duplicate}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind))
	})
	return out
}

// Kind of a finding.
type Kind string

const (
	GroupOnBothSides Kind = "group_on_both_sides"
	TimeOverlap      Kind = "time_overlap"
	RowOnBothSides   Kind = "row_on_both_sides"
	Predicts         Kind = "predicts_alone"
	Constant         Kind = "constant"
	Duplicate        Kind = "duplicate"
)

// Finding is one suspicion and its evidence. Which fields are set, Kind says.
type Finding struct {
	Kind     Kind     `json:"kind"`
	Feature  string   `json:"feature,omitempty"`
	Other    string   `json:"other,omitempty"`    // Duplicate: the feature that came first
	Class    string   `json:"class,omitempty"`    // Predicts, of several classes: the one it tells from all others
	Measure  string   `json:"measure,omitempty"`  // Predicts: "AUC" or "R²"; Duplicate: "correlation", or "" when equal
	Value    float64  `json:"value,omitempty"`    // of the measure
	Column   string   `json:"column,omitempty"`   // GroupOnBothSides: that names the groups
	Groups   int64    `json:"groups,omitempty"`   // GroupOnBothSides: so many
	Rows     int64    `json:"rows,omitempty"`     // held-out rows concerned; TimeOverlap: training rows
	Of       int64    `json:"of,omitempty"`       // all rows of that side
	Examples []string `json:"examples,omitempty"` // groups
	From     float64  `json:"from,omitempty"`     // TimeOverlap: of the first held-out row
	To       float64  `json:"to,omitempty"`       // TimeOverlap: of the last training row
}

// Diag gives the finding in words, as a warning without a place.
func (f Finding) Diag() diag.Finding {
	out := diag.Finding{Severity: diag.Warning}
	share := func() string {
		return strconv.FormatFloat(100*float64(f.Rows)/float64(max(f.Of, 1)), 'g', 3, 64) + " %"
	}
	switch f.Kind {
	case GroupOnBothSides:
		out.Summary = "Groups on both sides of the split"
		out.Detail = fmt.Sprintf("%d values of %q (%s) have rows to train on and held-out rows: %d of %d held-out rows, %s. The model has seen them, and looks better than it is.",
			f.Groups, f.Column, strings.Join(f.Examples, ", "), f.Rows, f.Of, share())
		out.Fix = fmt.Sprintf("Split by what keeps them together: holdout(by = %q).", f.Column)
	case TimeOverlap:
		out.Summary = "Training rows from after the first held-out row"
		out.Detail = fmt.Sprintf("Held-out rows begin at %s, and training rows end at %s: %d of %d training rows, %s, are later. A model in use never knows the future.",
			moment(f.From), moment(f.To), f.Rows, f.Of, share())
		out.Fix = "Hold out the last stretch of time, or leave it so when time plays no part."
	case RowOnBothSides:
		out.Summary = "The same rows on both sides of the split"
		out.Detail = fmt.Sprintf("%d of %d held-out rows, %s, have the same features and target as a row to train on.", f.Rows, f.Of, share())
		out.Fix = "Remove duplicates in the source's SELECT, or split by what they have in common."
	case Predicts:
		out.Summary = "A feature predicts the target alone"
		what := "the target"
		if f.Class != "" {
			what = fmt.Sprintf("class %q", f.Class)
		}
		out.Detail = fmt.Sprintf("%q alone predicts %s with %s %.4f. It may be a consequence of the target, or the target under another name.", f.Feature, what, f.Measure, f.Value)
		out.Fix = fmt.Sprintf("If it is not known when the model is asked, set it aside with exclude = [%q].", f.Feature)
	case Constant:
		out.Summary = "A feature is constant"
		out.Detail = fmt.Sprintf("%q has one value, or none, in all rows to train on, and is of no use.", f.Feature)
		out.Fix = fmt.Sprintf("Set it aside with exclude = [%q], or look at the SQL that makes it.", f.Feature)
	case Duplicate:
		out.Summary = "Two features say the same"
		out.Detail = fmt.Sprintf("%q equals %q in every row.", f.Feature, f.Other)
		if f.Measure != "" {
			out.Detail = fmt.Sprintf("%q follows from %q: their correlation is %.9f.", f.Feature, f.Other, f.Value)
		}
		out.Fix = fmt.Sprintf("Set one of them aside with exclude = [%q]; they share their importance.", f.Feature)
	}
	return out
}

func moment(seconds float64) string {
	return time.Unix(int64(seconds), 0).UTC().Format("2006-01-02 15:04:05")
}
