// Package cluster learns and applies k-means: it parts rows into k clusters so that the squared distances to the clusters'
// centres are small. Its central type is Model, made by Train or Decode and never changed afterwards.
//
// The iteration is S. Lloyd's ("Least squares quantization in PCM", 1982), begun by D. Arthur and S. Vassilvitskii's k-means++
// (2007), several candidates at each step as in their paper's last section. G. Hamerly's bounds ("Making k-means even
// faster", 2010) tell which rows cannot change their cluster, and spare most distances without changing what comes out.
// Parameters have the names and meaning of scikit-learn's KMeans.
//
// Invariants:
//  1. The same rows in the same order and the same parameters give the same model, byte for byte, with any number of threads
//     and on any machine: coordinates are rounded to a grid on which their sums are integers, other sums run over fixed
//     blocks of rows, and products are rounded before they are added. Give rows in an order that their identity decides.
//  2. Clusters are numbered by their rows, the most first; of equally large ones the lower centre, coordinate by coordinate,
//     comes first.
//  3. A model's SQL does the same additions in the same order as PredictRows: both give the same cluster and distance to the
//     last bit. A row belongs to the nearest centre, to the first of equally near ones.
//  4. Decode accepts exactly what Encode writes; whatever else it is given, it refuses with an error.
//  5. Distances are finite for any input, and no product in them leaves the range of numbers, which PostgreSQL would refuse.
//
// Values. A coordinate is a column's deviation from the mean of the rows learned from, by default in standard deviations. A
// missing value (NaN, SQL's NULL) counts as the mean; an infinity as the greatest or least finite value that training saw.
// Columns that do not vary play no part.
//
// The package reads no files, knows no database and tells no time. It does not choose k, and judges nothing.
package cluster

import (
	"fmt"
	"math"
)

// Limits that keep hostile or absurd input from taking all memory and time.
const (
	MaxFeatures = 700 // in more dimensions all rows are about equally far from each other
	MaxClusters = 1_000
	MaxRows     = 1 << 30
	maxValue    = 1e100 // so that no product overflows
)

// Ways to choose the first centres.
const (
	PlusPlus = "k-means++" // far from each other, by chance
	Random   = "random"    // rows by chance
)

// Params say how to cluster.
type Params struct {
	K             int     // clusters
	Init          string  // PlusPlus or Random
	Inits         int     // so many times from other centres, of which the best is kept; n_init
	MaxIterations int     // of one time
	Tolerance     float64 // squared step of all centres together at which they have come to rest, in mean variances of the columns
	Standardise   bool    // measure in standard deviations of each column
	Seed          int64
}

// Check says in words which parameter is out of range, or gives nil.
func (p Params) Check() error {
	switch {
	case p.K < 2 || p.K > MaxClusters:
		return fmt.Errorf("k is %d, and must be from 2 to %d", p.K, MaxClusters)
	case p.Init != PlusPlus && p.Init != Random:
		return fmt.Errorf("init is %q, and must be %q or %q", p.Init, PlusPlus, Random)
	case p.Inits < 1 || p.Inits > 1000:
		return fmt.Errorf("n_init is %d, and must be from 1 to 1000", p.Inits)
	case p.MaxIterations < 1 || p.MaxIterations > 100_000:
		return fmt.Errorf("max_iter is %d, and must be from 1 to 100000", p.MaxIterations)
	case !(p.Tolerance >= 0 && p.Tolerance < 1):
		return fmt.Errorf("tol is %v, and must be from 0 to below 1", p.Tolerance)
	}
	return nil
}

// Column is a feature of all rows; NaN is "missing".
type Column struct {
	Name    string
	Numbers []float64
}

// Model is a clustering.
type Model struct {
	standardise bool
	features    []feature
	clusters    []Cluster
}

// Cluster is what a model knows of a cluster.
type Cluster struct {
	Rows   int64     // learned from
	Centre []float64 // coordinates, 0 where the column plays no part
}

// feature is what the model knows of a column.
type feature struct {
	name      string
	mean      float64
	deviation float64 // standard deviation; 0 = the column plays no part
	low, high float64 // the extremes, which stand for the infinities
	divisor   float64 // the deviation, or 1 where columns are not standardised
}

// Bounds of deviations from the mean, in standard deviations: a value farther away counts as that far, a nearer one as the mean.
const (
	farthest = 1e9
	nearest  = 1e-30
)

// leastDeviation is the standard deviation that a column needs to play a part.
const leastDeviation = 1e-100

// finite gives the number that stands for an infinity.
func (f *feature) finite(v float64) float64 {
	switch {
	case v > math.MaxFloat64:
		return f.high
	case v < -math.MaxFloat64:
		return f.low
	}
	return v
}

// place gives the coordinate of a value.
func (f *feature) place(v float64) float64 {
	if v != v || f.deviation == 0 {
		return 0
	}
	d := f.finite(v) - f.mean
	if math.Abs(d) < f.near() {
		return 0
	}
	return min(max(d, -f.far()), f.far()) / f.divisor
}

func (f *feature) near() float64 { return float64(nearest * f.deviation) }
func (f *feature) far() float64  { return float64(farthest * f.deviation) }

// Features is the number of columns the model reads.
func (m *Model) Features() int { return len(m.features) }

// Clusters are those of the model, by number.
func (m *Model) Clusters() []Cluster { return m.clusters }

// Value gives a coordinate of a feature in the feature's own unit.
func (m *Model) Value(f int, coordinate float64) float64 {
	own := &m.features[f]
	return own.mean + float64(coordinate*own.divisor)
}

// Deviations gives a coordinate of a feature in standard deviations from its mean.
func (m *Model) Deviations(f int, coordinate float64) float64 {
	own := &m.features[f]
	if own.deviation == 0 {
		return 0
	}
	return float64(coordinate*own.divisor) / own.deviation
}

// Importance gives each feature's share in the squared distances of the centres from the mean, every row counting: by how
// much the feature tells the clusters apart. Their sum is 1, or 0 when all centres are alike.
func (m *Model) Importance() []float64 {
	out := make([]float64, len(m.features))
	total := 0.0
	for f := range out {
		rows, mean := 0.0, 0.0
		for _, c := range m.clusters {
			rows += float64(c.Rows)
			mean += float64(float64(c.Rows) * c.Centre[f])
		}
		mean /= rows
		for _, c := range m.clusters {
			d := c.Centre[f] - mean
			out[f] += float64(float64(c.Rows) * float64(d*d))
		}
		total += out[f]
	}
	for f := range out {
		if total > 0 {
			out[f] /= total
		}
	}
	return out
}
