// Package leak looks for what makes a model's held-out figures too good to be true: rows, people or times that stand on
// both sides of the split, and features that say the answer; and for features that say nothing, or the same as another. Its
// central type is Finding: what was found and the numbers that show it.
//
// Invariants:
//  1. Findings are warnings. Each may have an innocent cause; its evidence is there to judge by.
//  2. The findings do not depend on the number of threads. On the order of the rows depends which of them stand in the
//     two halves by which Predicts is found, and the sample that bins are cut from; nothing else.
//  3. A feature with as many values as rows predicts nothing here: what a value says is learned from one half of the
//     rows (of the groups, where there are any) and tried on the other.
//
// The package reads no files, knows no database and tells no time. It changes neither rows nor splits.
package leak

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"damson/internal/diag"
)

// From these values on there is a finding.
const (
	MostAUC         = 0.99  // of a feature alone
	MostR2          = 0.99  // of a feature alone
	LeastIdentical  = 0.001 // share of held-out rows that are training rows, too
	mostCorrelation = 1 - 1e-9
)

// Column is a feature of all rows: Numbers, NaN being "missing", or Codes into Levels, -1 being "missing".
type Column struct {
	Name    string
	Numbers []float64
	Codes   []int32
	Levels  []string
}

// Data are the rows of both sides, by column. All slices but Levels and Names have the same length.
type Data struct {
	Columns    []Column
	Target     []float64  // the number to predict, or the class: 0 … Classes-1
	Classes    int        // 0 = regression
	ClassNames []string   // nil = their numbers
	Held       []bool     // on the held-out side
	Groups     Grouping   // which rows belong together; none when its codes are nil
	Also       []Grouping // further ones that the sides should not share
	Times      []float64  // Unix seconds, NaN = not known; nil = there is no time
}

// Grouping says which rows belong together, by the values of a column.
type Grouping struct {
	Column string
	Codes  []int32  // of each row, ≥ 0
	Names  []string // by code; nil = their numbers
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

// Check looks for everything, and gives findings by their kind in the order above, then by feature as the columns stand.
// The error is the context's. threads: 0 = one a processor.
func Check(ctx context.Context, d Data, threads int) ([]Finding, error) {
	d.check()
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	findings := d.straddling(d.Groups)
	for _, g := range d.Also {
		findings = append(findings, d.straddling(g)...)
	}
	findings = append(findings, d.times()...)
	hashes, err := d.rowHashes(ctx, threads)
	if err != nil {
		return nil, err
	}
	findings = append(findings, d.rows(hashes)...)
	looks := make([]look, len(d.Columns))
	err = each(ctx, len(d.Columns), threads, func(c int) { looks[c] = d.look(c) })
	if err != nil {
		return nil, err
	}
	for c, l := range looks {
		if l.constant {
			findings = append(findings, Finding{Kind: Constant, Feature: d.Columns[c].Name})
		}
		if l.predicts != nil {
			findings = append(findings, *l.predicts)
		}
	}
	same, err := d.duplicates(ctx, looks, threads)
	if err != nil {
		return nil, err
	}
	findings = append(findings, same...)
	order := []Kind{GroupOnBothSides, TimeOverlap, RowOnBothSides, Predicts, Constant, Duplicate}
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind))
	})
	return findings, nil
}

func (d *Data) check() {
	n := len(d.Target)
	bad := len(d.Held) != n || d.Groups.Codes != nil && len(d.Groups.Codes) != n || d.Times != nil && len(d.Times) != n
	for _, g := range d.Also {
		bad = bad || len(g.Codes) != n
	}
	for _, c := range d.Columns {
		bad = bad || len(c.Numbers)+len(c.Codes) != n
	}
	if bad {
		panic("leak: columns of different lengths")
	}
	for _, y := range d.Target {
		if d.Classes > 0 && !(y >= 0 && y < float64(d.Classes) && y == math.Trunc(y)) {
			panic("leak: a target that is no class")
		}
	}
}

// each calls work(0) … work(n-1) on so many goroutines and waits for all. When ctx ends it starts no further one.
func each(ctx context.Context, n, threads int, work func(i int)) error {
	var next atomic.Int64
	var running sync.WaitGroup
	for range min(threads, n) {
		running.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				work(i)
			}
		})
	}
	running.Wait()
	return ctx.Err()
}
