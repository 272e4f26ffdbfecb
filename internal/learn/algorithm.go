// Package learn holds the ways to learn as one form: what a trainer has read and asked comes as a Lesson, what was learned goes out as
// a Predictor, which predicts in Go and in SQL alike. Its central type is Algorithm; a new one is a file like linear.go and a
// line in All. It reads no rows, judges nothing and knows no database.
package learn

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"damson/internal/forest"
	"damson/internal/metric"
	"damson/internal/pipeline"
	"damson/internal/tree"
)

// Algorithm is a way to learn. What is particular to one stands in a file of its own (trees.go, linear.go, clusters.go); nothing else
// asks which one it is.
type Algorithm struct {
	Name     string        // as pipeline.Algorithm and model.Version write it
	Kinds    []metric.Kind // that it can predict
	Classes  int           // at most
	Features int           // at most
	Texts    bool          // it takes features that are texts
	Bytes    int64         // that training takes for each value, the value's own eight included
	Steps    func(m pipeline.Model) int
	Check    func(m pipeline.Model) error
	Train    func(ctx context.Context, l Lesson) (p Predictor, warnings []string, err error)
	Decode   func(artifact []byte, features []Feature) (Predictor, error)
	Inside   func(m pipeline.Model) forest.Params // of one that a database can train; nil of the others
}

// All are all there are.
var All = []Algorithm{randomForest, decisionTree, gradientBoosting, logisticRegression, linearRegression, kMeans}

// Of gives the one of that name.
func Of(name string) (Algorithm, bool) {
	i := slices.IndexFunc(All, func(a Algorithm) bool { return a.Name == name })
	if i < 0 {
		return Algorithm{}, false
	}
	return All[i], true
}

// Classification reports whether the algorithm learns classes.
func (a Algorithm) Classification() bool { return a.Classes > 0 }

// Regression reports whether it learns numbers.
func (a Algorithm) Regression() bool { return slices.Contains(a.Kinds, metric.Regression) }

// Clustering reports whether it learns without a target.
func (a Algorithm) Clustering() bool { return slices.Contains(a.Kinds, metric.Clustering) }

// Others names the algorithms that could do what this one cannot.
func Others(can func(a Algorithm) bool) string {
	var names []string
	for _, a := range All {
		if can(a) {
			names = append(names, "algorithm = "+a.Name+"()")
		}
	}
	return strings.Join(names, " or ")
}

// Feature is a column that a model reads: a number, or a text.
type Feature struct {
	Name   string
	Levels []string // of a text: those there are, sorted; nil = a number
}

// Lesson is what there is to learn.
type Lesson struct {
	Model    pipeline.Model
	Features []Feature
	Columns  [][]float64    // by feature, of all rows: numbers, or the places of texts among their levels; NaN = missing
	Target   []float64      // of all rows: the class, from 0, or the number; a clustering is not to look at it
	Classes  int            // 0 = numbers are learned
	Weights  []float64      // of the classes; nil = 1 each
	Keys     []tree.Key     // of all rows
	Rows     []int32        // to learn from
	Threads  int            // 0 = all processors
	Step     func(done int) // called as steps are done, from several goroutines
	// Aside takes rows out for an algorithm that watches its own progress: all of a group or none.
	Aside func(share float64) (learn, watch []int32)
}

// Predictor is what was learned. The artifact of a version is its encoding, its hash the version's.
type Predictor interface {
	// Outputs is how many numbers a row is given: the predicted number; the probability of the second of two classes; that of
	// each of several; or a cluster's number and the distance to its centre.
	Outputs() int
	// PredictRows gives the outputs, by output, of the given rows of a table (nil: all rows). Columns are those of a lesson;
	// the place behind the last level is that of all texts that training did not see.
	PredictRows(ctx context.Context, columns [][]float64, rows []int32, threads int) ([][]float64, error)
	// SQL writes the outputs over columns of type double precision, or text, in which NULL is "missing". Names of further
	// columns begin with prefix.
	SQL(columns []string, prefix string) Scoring
	// Nodes says how large the SQL is, and how long a prediction takes.
	Nodes() int
	// Importance is each feature's share in what was learned; 0 for one that plays no part.
	Importance() []float64
	Encode() []byte
	Hash() string
}

// Scoring is a predictor as SQL: subqueries one around the other, whose columns a database computes once for each row.
type Scoring struct {
	Steps   [][]Item // innermost first; the items of a step read the columns below it
	Outputs []string // one expression for each output, over the columns of all steps
}

// Item is a column that a step adds.
type Item struct{ Name, Expression string }

// Unseen is the place of texts that training did not see.
func (f Feature) Unseen() float64 { return float64(len(f.Levels)) }

// checkFeatures says in words why an artifact does not belong to these features.
func checkFeatures(artifact, named int) error {
	if artifact != named {
		return fmt.Errorf("its artifact reads %d features and it names %d", artifact, named)
	}
	return nil
}
