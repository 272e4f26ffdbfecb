package metric

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
)

// From these values of PSI on, a feature has shifted, and has drifted: the customary bounds in credit scoring (N. Siddiqi,
// "Credit Risk Scorecards", 2006).
const (
	PSIShifted = 0.1
	PSIDrifted = 0.25
)

// How much of a feature a reference keeps.
const (
	DriftBins   = 40  // of a number, about equally full
	psiParts    = 10  // bins are joined into about so many for PSI
	driftLevels = 100 // of a category, the most frequent; the rest is counted together
	driftKnown  = 1000
	UnseenNamed = 5
)

// Column is a feature of all rows: Numbers, NaN being "missing", or Codes into Levels, -1 being "missing".
type Column struct {
	Name    string
	Numbers []float64
	Codes   []int32
	Levels  []string
}

// Reference is what the features of a model looked like when it was trained: plain data, to be stored with the version.
type Reference struct {
	Rows     int64              `json:"rows"`
	Features []FeatureReference `json:"features"`
}

// FeatureReference is one feature. A number's values are counted by bin: bin b holds those above Edges[b-1] and up to
// Edges[b], the last those above all edges. A category's are counted by level; those of levels not kept in Rest.
type FeatureReference struct {
	Name    string    `json:"name"`
	Edges   []float64 `json:"edges,omitempty"`
	Counts  []int64   `json:"counts"`
	Levels  []string  `json:"levels,omitempty"`
	Rest    int64     `json:"rest,omitzero"`
	Known   []string  `json:"known,omitempty"` // levels counted in Rest
	Many    bool      `json:"many,omitzero"`   // too many levels to know which were there: none is called unseen
	Missing int64     `json:"missing"`
	Text    bool      `json:"text,omitzero"` // a category
}

// FeatureCounts counts present values in the bins or levels of a FeatureReference.
type FeatureCounts struct {
	Counts  []int64
	Rest    int64
	Missing int64
	Unseen  map[string]int64 // rows by level that the reference does not know; also counted in Rest
	More    int64            // rows of further such levels, without their names; also counted in Rest
}

// Drift says how present rows differ from the reference.
type Drift struct {
	Reference int64          `json:"reference_rows"`
	Present   int64          `json:"present_rows"`
	Features  []FeatureDrift `json:"features"` // by falling PSI
}

// FeatureDrift is one feature. What no row defines is absent.
type FeatureDrift struct {
	Feature string   `json:"feature"`
	Level   Level    `json:"level"`
	PSI     *float64 `json:"psi,omitempty"`               // population stability index; missing values are a bin
	KS      *float64 `json:"ks,omitempty"`                // of a number: largest distance of the distributions at the bins' edges (Kolmogorov–Smirnov)
	JS      *float64 `json:"js,omitempty"`                // Jensen–Shannon divergence in bits, from 0 to 1; missing values are a bin
	Before  float64  `json:"missing_reference"`           // share of rows
	Now     float64  `json:"missing_present"`             // share of rows
	Unseen  float64  `json:"unseen,omitzero"`             // share of rows whose category training did not know
	Names   []string `json:"unseen_categories,omitempty"` // the most frequent of them
}

// Level says what PSI means.
type Level string

const (
	Stable  Level = "stable"  // below PSIShifted
	Shifted Level = "shifted" // below PSIDrifted
	Drifted Level = "drifted"
)

// Refer makes the reference of a model's training rows. The order of the rows plays no part.
func Refer(columns []Column) Reference {
	var r Reference
	for _, c := range columns {
		f := FeatureReference{Name: c.Name, Text: c.Numbers == nil}
		if f.Text {
			f.keepLevels(c)
		} else {
			f.cut(c.Numbers)
		}
		n := f.Count(c)
		f.Counts, f.Rest, f.Missing = n.Counts, n.Rest, n.Missing
		r.Rows = n.Rows()
		r.Features = append(r.Features, f)
	}
	return r
}

// cut places edges at quantiles that are values themselves; a frequent value has a bin that ends with it.
func (f *FeatureReference) cut(numbers []float64) {
	sorted := make([]float64, 0, len(numbers))
	for _, v := range numbers {
		if v == v && !math.IsInf(v, 0) {
			sorted = append(sorted, v+0)
		}
	}
	slices.Sort(sorted)
	f.Edges = []float64{}
	if len(sorted) == 0 {
		return
	}
	distinct := slices.Compact(slices.Clone(sorted))
	if len(distinct) <= DriftBins {
		f.Edges = distinct
		return
	}
	for _, place := range DriftPlaces(len(sorted)) {
		f.Edges = append(f.Edges, sorted[place])
	}
	f.Edges = slices.Compact(f.Edges)
}

// DriftPlaces gives where the edges of a reference stand among n sorted finite numbers, of which more than DriftBins differ, counted
// from 0. Edges that are equal are one.
func DriftPlaces(n int) []int {
	places := make([]int, 0, DriftBins-1)
	for b := 1; b < DriftBins; b++ {
		places = append(places, n*b/DriftBins-1)
	}
	return places
}

// keepLevels keeps the levels of a column.
func (f *FeatureReference) keepLevels(c Column) {
	count := make([]int64, len(c.Levels))
	for _, code := range c.Codes {
		if code >= 0 {
			count[code]++
		}
	}
	f.chooseLevels(c.Levels, count)
}

// chooseLevels keeps the most frequent levels, then by their texts, and the names of others that occur. The answer is the places of those
// kept, and how many rows the rest have.
func (f *FeatureReference) chooseLevels(levels []string, count []int64) (kept []int, rest int64) {
	var occur []int
	for code, n := range count {
		if n > 0 {
			occur = append(occur, code)
		}
	}
	slices.SortFunc(occur, func(a, b int) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(levels[a], levels[b]))
	})
	f.Levels = []string{}
	f.Many = len(occur) > driftKnown
	for i, code := range occur {
		switch {
		case i < driftLevels:
			f.Levels, kept = append(f.Levels, levels[code]), append(kept, code)
			continue
		case !f.Many:
			f.Known = append(f.Known, levels[code])
		}
		rest += count[code]
	}
	return kept, rest
}

// ReferCategory makes the reference of a category from the rows that its levels have.
func ReferCategory(name string, levels []string, count []int64, missing int64) FeatureReference {
	f := FeatureReference{Name: name, Text: true, Missing: missing, Counts: []int64{}}
	var kept []int
	kept, f.Rest = f.chooseLevels(levels, count)
	for _, code := range kept {
		f.Counts = append(f.Counts, count[code])
	}
	return f
}

// Count counts a column's values as the reference does. It panics on a number where the reference has a category, or the
// other way round; columns without rows are neither.
func (f *FeatureReference) Count(c Column) FeatureCounts {
	if f.Text && len(c.Numbers) > 0 || !f.Text && len(c.Codes) > 0 {
		panic("metric: feature " + c.Name + " is of another kind than in the reference")
	}
	if f.Text {
		return f.countLevels(c)
	}
	n, _ := f.NoCounts()
	for _, v := range c.Numbers {
		if v != v {
			n.Missing++
			continue
		}
		n.Counts[sort.SearchFloat64s(f.Edges, v)]++
	}
	return n
}

// NoCounts makes room for counts, and gives the places of a category's levels among them: -1 of those counted in Rest.
func (f *FeatureReference) NoCounts() (n FeatureCounts, places map[string]int) {
	if !f.Text {
		return FeatureCounts{Counts: make([]int64, len(f.Edges)+1)}, nil
	}
	places = map[string]int{}
	for _, name := range f.Known {
		places[name] = -1
	}
	for l, name := range f.Levels {
		places[name] = l
	}
	return FeatureCounts{Counts: make([]int64, len(f.Levels)), Unseen: map[string]int64{}}, places
}

// AddLevel counts rows of a level.
func (n *FeatureCounts) AddLevel(f *FeatureReference, places map[string]int, level string, rows int64) {
	at, known := places[level]
	if known && at >= 0 {
		n.Counts[at] += rows
		return
	}
	n.Rest += rows
	if !known && !f.Many {
		n.Unseen[level] += rows
	}
}

func (f *FeatureReference) countLevels(c Column) FeatureCounts {
	n, places := f.NoCounts()
	own := make([]int64, len(c.Levels))
	for _, code := range c.Codes {
		if code < 0 {
			n.Missing++
		} else {
			own[code]++
		}
	}
	for code, rows := range own {
		if rows > 0 {
			n.AddLevel(f, places, c.Levels[code], rows)
		}
	}
	return n
}

// Rows is how many rows were counted.
func (n *FeatureCounts) Rows() int64 {
	rows := n.Rest + n.Missing
	for _, c := range n.Counts {
		rows += c
	}
	return rows
}

// Drift compares columns, one for each feature of the reference in its order, with it. The error says which feature is
// lacking or of another kind.
func (r Reference) Drift(columns []Column) (Drift, error) {
	if len(columns) != len(r.Features) {
		return Drift{}, fmt.Errorf("%d columns, and the reference has %d features", len(columns), len(r.Features))
	}
	var counts []FeatureCounts
	for i, c := range columns {
		f := &r.Features[i]
		if c.Name != f.Name {
			return Drift{}, fmt.Errorf("column %d is %q, and the reference has %q there", i+1, c.Name, f.Name)
		}
		if f.Text && len(c.Numbers) > 0 || !f.Text && len(c.Codes) > 0 {
			return Drift{}, fmt.Errorf("%q is a number on one side and a category on the other", c.Name)
		}
		counts = append(counts, f.Count(c))
	}
	return r.DriftOf(counts), nil
}

// DriftOf compares counts, those of each feature of the reference in its order.
func (r Reference) DriftOf(counts []FeatureCounts) Drift {
	same(len(r.Features), len(counts))
	d := Drift{Reference: r.Rows, Features: []FeatureDrift{}}
	for i, n := range counts {
		d.Present = n.Rows()
		d.Features = append(d.Features, r.Features[i].Drift(n))
	}
	slices.SortStableFunc(d.Features, func(a, b FeatureDrift) int {
		return cmp.Or(cmp.Compare(orZero(b.PSI), orZero(a.PSI)), cmp.Compare(a.Feature, b.Feature))
	})
	return d
}

func orZero(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

// Drift compares counts with the reference.
func (f *FeatureReference) Drift(now FeatureCounts) FeatureDrift {
	same(len(f.Counts), len(now.Counts))
	before := FeatureCounts{Counts: f.Counts, Rest: f.Rest, Missing: f.Missing}
	out := FeatureDrift{Feature: f.Name, Level: Stable}
	rows, present := float64(before.Rows()), float64(now.Rows())
	if rows == 0 || present == 0 {
		return out
	}
	out.Before, out.Now = float64(before.Missing)/rows, float64(now.Missing)/present
	out.JS = known(divergence(before.all(), now.all()))
	old, young := f.joined(before, now)
	out.PSI = known(stability(old, young))
	switch {
	case *out.PSI >= PSIDrifted:
		out.Level = Drifted
	case *out.PSI >= PSIShifted:
		out.Level = Shifted
	}
	if !f.Text {
		out.KS = known(distance(f.Counts, now.Counts))
	}
	unseen := now.More
	for name, n := range now.Unseen {
		unseen += n
		out.Names = append(out.Names, name)
	}
	slices.SortFunc(out.Names, func(a, b string) int {
		return cmp.Or(cmp.Compare(now.Unseen[b], now.Unseen[a]), cmp.Compare(a, b))
	})
	out.Names = out.Names[:min(len(out.Names), UnseenNamed)]
	out.Unseen = float64(unseen) / present
	return out
}

// all gives the counts of all bins, the rest's and the missing values' among them.
func (n *FeatureCounts) all() []int64 {
	return append(slices.Clone(n.Counts), n.Rest, n.Missing)
}

// joined gives counts for PSI: neighbouring bins of a number are joined until each holds its share of the reference, as
// PSI's bounds are meant for about ten.
func (f *FeatureReference) joined(before, now FeatureCounts) (old, young []int64) {
	if f.Text {
		return before.all(), now.all()
	}
	total := before.Rows() - before.Missing
	var a, b int64
	for i, n := range before.Counts {
		a, b = a+n, b+now.Counts[i]
		if a*psiParts >= total && a > 0 || i == len(before.Counts)-1 {
			old, young = append(old, a), append(young, b)
			a, b = 0, 0
		}
	}
	// What is left at the end goes to the last part that is full enough.
	if n := len(old); n > 1 && old[n-1]*psiParts*2 < total {
		old[n-2], young[n-2] = old[n-2]+old[n-1], young[n-2]+young[n-1]
		old, young = old[:n-1], young[:n-1]
	}
	return append(old, before.Missing), append(young, now.Missing)
}

// stability is PSI: Σ (now - before)·ln(now/before) over the shares, half a row being added to each count so that empty
// bins are defined. Bins that are empty on both sides do not count.
func stability(before, now []int64) float64 {
	bins, total, present := 0.0, 0.0, 0.0
	for i := range before {
		if before[i]+now[i] > 0 {
			bins++
			total += float64(before[i])
			present += float64(now[i])
		}
	}
	psi := 0.0
	for i := range before {
		if before[i]+now[i] > 0 {
			p, q := (float64(before[i])+0.5)/(total+bins/2), (float64(now[i])+0.5)/(present+bins/2)
			psi += float64((q - p) * math.Log(q/p))
		}
	}
	return psi
}

// divergence is that of Jensen and Shannon, in bits (J. Lin 1991).
func divergence(before, now []int64) float64 {
	total, present := sumCounts(before), sumCounts(now)
	js := 0.0
	for i := range before {
		p, q := float64(before[i])/total, float64(now[i])/present
		m := (p + q) / 2
		if p > 0 {
			js += float64(p / 2 * math.Log2(p/m))
		}
		if q > 0 {
			js += float64(q / 2 * math.Log2(q/m))
		}
	}
	return max(js, 0)
}

// distance is the largest between the cumulated shares of the values that are there; NaN when a side has none.
func distance(before, now []int64) float64 {
	total, present := sumCounts(before), sumCounts(now)
	most, a, b := 0.0, 0.0, 0.0
	for i := range before {
		a += float64(before[i])
		b += float64(now[i])
		most = max(most, math.Abs(a/total-b/present))
	}
	return most
}

func sumCounts(counts []int64) float64 {
	n := int64(0)
	for _, c := range counts {
		n += c
	}
	return float64(n)
}
