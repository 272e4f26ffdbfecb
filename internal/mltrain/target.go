package mltrain

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"damson/internal/diag"
	"damson/internal/learn"
	"damson/internal/metric"
	"damson/internal/mltrain/cells"
)

// question is what a model is asked, as the target's values say it.
type question struct {
	kind    metric.Kind
	classes []string // their names, in the order of their numbers; empty for numbers
	texts   bool     // classes are texts; else they are whole numbers
}

// plain reports whether the classes are 0 and 1, which go without names.
func (q question) plain() bool {
	return q.kind == metric.Binary && !q.texts && slices.Equal(q.classes, []string{"0", "1"})
}

// learnsNumbers reports whether the target is a number to be predicted: always where the algorithm learns no classes; else as soon
// as a value is no whole number, or there are more different ones than the algorithm tells classes apart.
func (t *training) learnsNumbers() bool { return !t.algorithm.Classification() || t.isNumber }

// checkTarget refuses a column that the algorithm cannot learn.
func (t *training) checkTarget(f arrow.Field) diag.Findings {
	says := fmt.Sprintf("Column %q, the target of model %q, is %s", t.model.Target, t.model.Name, f.Type)
	switch {
	case cells.IsNumber(f.Type), cells.IsText(f.Type) && (t.algorithm.Classification() || t.algorithm.Clustering()):
		return nil
	case cells.IsText(f.Type):
		return diag.Findings{t.fail("Target is not a number", says+"; "+t.algorithm.Name+" learns numbers.",
			"Name a column of numbers, or take "+learn.Others(learn.Algorithm.Classification)+".")}
	}
	return diag.Findings{t.fail("Target can not be learned", says+"; targets are numbers, booleans and texts.",
		"Make one of these of it in the source's SELECT.")}
}

// readTarget appends the targets of the rows that have one, and gives those rows' places in the batch.
func (t *training) readTarget(column arrow.Array) (keep []int, err error) {
	f := t.rows
	for i := range column.Len() {
		if !column.IsNull(i) {
			keep = append(keep, i)
		}
	}
	from := len(f.target)
	if f.labels.used {
		f.target = f.labels.Append(f.target, column, keep)
		return keep, t.checkClasses(len(f.labels.Names))
	}
	f.target = cells.AppendNumbers(f.target, column, keep)
	for _, y := range f.target[from:] {
		if err := t.checkNumber(y); err != nil {
			return nil, err
		}
	}
	return keep, nil
}

// checkNumber refuses a number that cannot be learned, or is no class.
func (t *training) checkNumber(y float64) error {
	holds := fmt.Sprintf("Column %q, the target of model %q, holds %v", t.model.Target, t.model.Name, y)
	switch {
	case math.IsNaN(y) || math.IsInf(y, 0):
		written := map[bool]string{true: "NaN", false: "Infinity"}[math.IsNaN(y)]
		if math.IsInf(y, -1) {
			written = "-Infinity"
		}
		return t.fail("Target is not a number", holds+".", fmt.Sprintf("Make it NULL in the source's SELECT where it is not known: nullif(…, '%s').", written))
	case t.algorithm.Regression() && y != math.Trunc(y):
		t.isNumber = true
	}
	t.low, t.high = min(t.low, y), max(t.high, y)
	switch {
	case t.learnsNumbers():
		if math.Abs(y) > maxNumber {
			return t.fail("Target is too large", fmt.Sprintf("%s; numbers up to ±%g can be learned.", holds, float64(maxNumber)), "Scale it in the source's SELECT.")
		}
		return nil
	case y != math.Trunc(y) || math.Abs(y) > maxClassNumber:
		return t.fail("Target is not a class", holds+"; classes are whole numbers, booleans or texts.",
			"To predict a number take "+learn.Others(learn.Algorithm.Regression)+"; else make classes of it in the source's SELECT.")
	}
	if t.values == nil {
		t.values = map[float64]struct{}{}
	}
	t.values[y+0] = struct{}{} // -0 equals 0
	return t.checkClasses(len(t.values))
}

// Bounds of targets: doubles hold larger whole numbers no longer exactly, and squares of sums stay finite.
const (
	maxClassNumber = 1 << 53
	maxNumber      = 1e100
)

// checkClasses refuses more classes than the algorithm tells apart, as soon as they are seen.
func (t *training) checkClasses(n int) error {
	most := t.algorithm.Classes
	switch {
	case n <= most:
		return nil
	case t.algorithm.Regression() && !t.rows.labels.used:
		t.isNumber = true
		return nil
	}
	detail := fmt.Sprintf("Column %q, the target of model %q, has more than %d different values; %s tells up to %d classes apart.", t.model.Target, t.model.Name, most, t.algorithm.Name, most)
	other := learn.Others(func(a learn.Algorithm) bool { return a.Classes > most || a.Regression() && !t.rows.labels.used })
	if other == "" {
		return t.fail("Too many classes", detail, "Make fewer classes of it in the source's SELECT.")
	}
	return t.fail("Too many classes", detail, fmt.Sprintf("Take %s; or write in the source's SELECT: case when %s = … then 1 else 0 end as label.", other, t.model.Target))
}

// understand finds out what the target of so many rows asks.
func (t *training) understand(rows int64) error {
	if t.algorithm.Clustering() {
		t.asked, t.labels = question{kind: metric.Clustering}, t.targetNames()
		return nil
	}
	if t.learnsNumbers() {
		t.asked = question{kind: metric.Regression}
		if t.model.Segment != "" {
			t.warn("Segments are not judged", fmt.Sprintf("Model %q predicts a number; segments are judged of classes only.", t.model.Name), "Remove segment.")
		}
		if t.low == t.high {
			return t.fail("One number only", fmt.Sprintf("All %d rows of model %q have %q = %v.", rows, t.model.Name, t.model.Target, t.low), "Check how the source's SELECT makes the target.")
		}
		return nil
	}
	t.asked.texts, t.asked.classes = t.rows.labels.used, t.targetNames()
	t.asked.kind = metric.Multiclass
	switch len(t.asked.classes) {
	case 1:
		only := cmp.Or(t.asked.classes[0], `""`)
		return t.fail("One class only", fmt.Sprintf("All %d rows of model %q have %q = %s; a model learns from two classes and more.", rows, t.model.Name, t.model.Target, only),
			"Check how the source's SELECT makes the target, and that rows of all classes are loaded.")
	case 2:
		t.asked.kind = metric.Binary
	}
	return t.checkWeights()
}

// classNumbers are the classes of a target of numbers.
func (t *training) classNumbers() []float64 { return slices.Sorted(maps.Keys(t.values)) }

// renumber gives every row its class, once the target is understood; one that is not known stays NaN.
func (t *training) renumber() {
	if t.asked.kind == metric.Regression {
		return
	}
	f := t.rows
	var place []float64 // of a text's code
	if f.labels.used {
		_, place = f.labels.sorted()
	}
	numbers := t.classNumbers()
	for i, y := range f.target {
		switch {
		case y != y:
		case f.labels.used:
			f.target[i] = place[int(y)]
		default:
			at, _ := slices.BinarySearch(numbers, y)
			f.target[i] = float64(at)
		}
	}
}

// checkWeights refuses weights of classes that do not occur.
func (t *training) checkWeights() error {
	w := t.model.ClassWeight()
	if w == nil {
		return nil
	}
	var all diag.Findings
	for _, name := range slices.Sorted(maps.Keys(w.Weights)) {
		if !slices.Contains(t.asked.classes, name) {
			all = append(all, t.fail("Unknown class", fmt.Sprintf("class_weight of model %q names the class %q, and %q holds %s.", t.model.Name, name, t.model.Target, diag.FirstOf(t.asked.classes)),
				cmp.Or(diag.DidYouMean(name, t.asked.classes), "Name one of them.")))
		}
	}
	return all.Err()
}

// classWeights gives what rows of each class count, nil when all count alike. counts are of the rows to learn from, by
// class, and of are the numbers of these classes.
func (t *training) classWeights(of []int, counts []int64) []float64 {
	w := t.model.ClassWeight()
	if w == nil {
		return nil
	}
	rows := int64(0)
	for _, n := range counts {
		rows += n
	}
	out := make([]float64, len(counts))
	for i, n := range counts {
		out[i] = 1
		if w.Balanced {
			out[i] = float64(rows) / float64(int64(len(counts))*n)
		} else if own, ok := w.Weights[t.asked.classes[of[i]]]; ok {
			out[i] = own
		}
	}
	return out
}
