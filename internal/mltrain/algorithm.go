package mltrain

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"damson/internal/metric"
	"damson/internal/pipeline"
)

// algorithm is a way to learn. What is particular to one stands in a file of its own (trees.go, linear.go); nothing else
// asks which one it is.
type algorithm struct {
	name     string        // as pipeline.Algorithm and model.Version write it
	kinds    []metric.Kind // that it can predict
	classes  int           // at most
	features int           // at most
	texts    bool          // it takes features that are texts
	bytes    int64         // that training takes for each value, the value's own eight included
	steps    func(m pipeline.Model) int
	check    func(m pipeline.Model) error
	train    func(ctx context.Context, l lesson) (p predictor, warnings []string, err error)
	decode   func(artifact []byte, features []feature) (predictor, error)
}

// algorithms are all there are.
var algorithms = []algorithm{randomForest, decisionTree, gradientBoosting, logisticRegression, linearRegression}

func algorithmOf(name string) (algorithm, bool) {
	i := slices.IndexFunc(algorithms, func(a algorithm) bool { return a.name == name })
	if i < 0 {
		return algorithm{}, false
	}
	return algorithms[i], true
}

// others names the algorithms that could do what this one cannot.
func others(can func(a algorithm) bool) string {
	var names []string
	for _, a := range algorithms {
		if can(a) {
			names = append(names, "algorithm = "+a.name+"()")
		}
	}
	return strings.Join(names, " or ")
}

// feature is a column that a model reads: a number, or a text.
type feature struct {
	name   string
	levels []string // of a text: those there are, sorted; nil = a number
}

// lesson is what there is to learn.
type lesson struct {
	model    pipeline.Model
	features []feature
	columns  [][]float64    // by feature, of all rows: numbers, or the places of texts among their levels; NaN = missing
	target   []float64      // of all rows: the class, from 0, or the number
	classes  int            // 0 = numbers are learned
	weights  []float64      // of the classes; nil = 1 each
	keys     []key          // of all rows
	rows     []int32        // to learn from
	threads  int            // 0 = all processors
	step     func(done int) // called as steps are done, from several goroutines
	// aside takes rows out for an algorithm that watches its own progress: all of a group or none.
	aside func(share float64) (learn, watch []int32)
}

// predictor is what was learned. The artifact of a version is its encoding, its hash the version's.
type predictor interface {
	// Outputs is how many numbers a row is given: the predicted number; the probability of the second of two classes; or
	// that of each of several.
	Outputs() int
	// PredictRows gives the outputs, by output, of the given rows of a table (nil: all rows). Columns are those of a lesson;
	// the place behind the last level is that of all texts that training did not see.
	PredictRows(ctx context.Context, columns [][]float64, rows []int32, threads int) ([][]float64, error)
	// SQL writes the outputs over columns of type double precision, or text, in which NULL is "missing". Names of further
	// columns begin with prefix.
	SQL(columns []string, prefix string) scoring
	// Nodes says how large the SQL is, and how long a prediction takes.
	Nodes() int
	// Importance is each feature's share in what was learned; 0 for one that plays no part.
	Importance() []float64
	Encode() []byte
	Hash() string
}

// scoring is a predictor as SQL: subqueries one around the other, whose columns a database computes once for each row.
type scoring struct {
	steps   [][]item // innermost first; the items of a step read the columns below it
	outputs []string // one expression for each output, over the columns of all steps
}

// item is a column that a step adds.
type item struct{ name, expression string }

// unseen is the place of texts that training did not see.
func (f feature) unseen() float64 { return float64(len(f.levels)) }

// checkFeatures says in words why an artifact does not belong to these features.
func checkFeatures(artifact, named int) error {
	if artifact != named {
		return fmt.Errorf("its artifact reads %d features and it names %d", artifact, named)
	}
	return nil
}
