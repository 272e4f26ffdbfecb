// Package leak looks for what makes a model's held-out figures too good to be true: rows, people or times that stand on
// both sides of the split, and features that say the answer; and for features that say nothing, or the same as another. Its
// central type is Evidence: what has been counted, of which Judge makes findings. Check counts rows in memory; a database may
// count the same (package pushdown).
//
// Invariants:
//  1. Findings are warnings. Each may have an innocent cause; its evidence is there to judge by.
//  2. The findings do not depend on the number of threads, nor on the order of the rows, except for the first rows of the sample,
//     which tell what pairs of features are worth a closer look.
//  3. A feature with as many values as rows predicts nothing here: what a value says is learned from one half of the
//     rows (of the groups, where there are any) and tried on the other.
//
// The package reads no files, knows no database and tells no time. It changes neither rows nor splits.
package leak

import (
	"context"
	"math"

	"damson/internal/parallel"
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
	Halves     []bool     // in which of two halves: rows that belong together are in one, so that what a value says of a person is not tried on the same person
	Groups     []Grouping // that the sides should not share
	Times      []float64  // Unix seconds, NaN = not known; nil = there is no time
	Sample     []int32    // rows that bins are cut from; nil = all
}

// Grouping says which rows belong together, by the values of a column.
type Grouping struct {
	Column string
	Codes  []int32  // of each row, ≥ 0
	Names  []string // by code; nil = their numbers
}

// Check counts rows in memory and judges. The error is the context's. threads: 0 = one a processor.
func Check(ctx context.Context, d Data, threads int) ([]Finding, error) {
	d.check()
	threads = parallel.Threads(threads)
	e := Evidence{Times: d.times()}
	for _, g := range d.Groups {
		e.Groups = append(e.Groups, d.straddling(g))
	}
	hashes, err := d.rowHashes(ctx, threads)
	if err != nil {
		return nil, err
	}
	e.Rows = d.repeats(hashes)
	looks := make([]look, len(d.Columns))
	if err = parallel.Each(ctx, len(d.Columns), threads, func(c int) { looks[c] = d.look(c) }); err != nil {
		return nil, err
	}
	for _, l := range looks {
		e.Features = append(e.Features, l.Feature)
	}
	if e.Same, err = d.duplicates(ctx, looks, threads); err != nil {
		return nil, err
	}
	return Judge(e), nil
}

func (d *Data) check() {
	n := len(d.Target)
	bad := len(d.Held) != n || len(d.Halves) != n || d.Times != nil && len(d.Times) != n
	for _, g := range d.Groups {
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
