package metric

import (
	"math"
	"slices"
)

// Classes judges predictions of three and more classes.
type Classes struct {
	Classes   []Class   `json:"classes"`
	Confusion [][]int64 `json:"confusion"` // rows by what they are, then by what they were predicted to be
}

// Class is one class against all others. What the rows do not define is absent.
type Class struct {
	Class     string   `json:"class"`
	Rows      int64    `json:"rows"`
	Predicted int64    `json:"predicted"`
	Precision *float64 `json:"precision,omitempty"`
	Recall    *float64 `json:"recall,omitempty"`
	F1        *float64 `json:"f1,omitempty"`
	AUC       *float64 `json:"auc,omitempty"`
}

// ClassRows are judged rows of several classes, by column. A row is predicted to be of the likeliest class, the first one
// among equals.
type ClassRows struct {
	Names         []string    // of the classes
	Probabilities [][]float64 // by class, then by row
	Labels        []int32     // index into Names
	Weights       []float64   // nil = 1 each
	Segments      []string    // nil = none
	Groups        []string    // nil = none
}

func (r *ClassRows) check() {
	same(len(r.Names), len(r.Probabilities))
	for _, p := range r.Probabilities {
		same(len(p), len(r.Labels))
	}
	for _, y := range r.Labels {
		if y < 0 || int(y) >= len(r.Names) {
			panic("metric: a label that is no class")
		}
	}
}

// predicted gives the likeliest class of every row.
func (r *ClassRows) predicted() []int32 {
	out := make([]int32, len(r.Labels))
	for i := range out {
		for k, p := range r.Probabilities {
			if p[i] > r.Probabilities[out[i]][i] {
				out[i] = int32(k)
			}
		}
	}
	return out
}

// confuse counts rows by what they are and by what they were predicted to be.
func (r *ClassRows) confuse(predicted []int32) [][]int64 {
	out := make([][]int64, len(r.Names))
	for k := range out {
		out[k] = make([]int64, len(r.Names))
	}
	for i, y := range r.Labels {
		out[y][predicted[i]]++
	}
	return out
}

// losses gives the logarithmic and the squared (Brier) loss of a row.
func (r *ClassRows) losses(i int) (logarithmic, squared float64) {
	for k, p := range r.Probabilities {
		d := p[i]
		if int32(k) == r.Labels[i] {
			d--
		}
		squared += float64(d * d)
	}
	return -math.Log(max(r.Probabilities[r.Labels[i]][i], 0x1p-52)), squared
}

// classFigures are the metrics that a confusion matrix defines.
func classFigures(confusion [][]int64) map[string]float64 {
	var rows, right, most int64
	macro, weighted, recall := 0.0, 0.0, 0.0
	occur, judged := 0, 0
	for k := range confusion {
		actual, predicted := margins(confusion, k)
		rows, right, most = rows+actual, right+confusion[k][k], max(most, actual)
		if actual+predicted > 0 {
			judged++
			f1 := float64(2*confusion[k][k]) / float64(actual+predicted)
			macro += f1
			weighted += float64(f1 * float64(actual))
		}
		if actual > 0 {
			occur++
			recall += float64(confusion[k][k]) / float64(actual)
		}
	}
	return map[string]float64{
		"accuracy": float64(right) / float64(rows), "balanced_accuracy": recall / float64(occur), "majority_accuracy": float64(most) / float64(rows),
		"macro_f1": macro / float64(judged), "weighted_f1": weighted / float64(rows),
	}
}

// margins counts the rows that are of class k, and those predicted so.
func margins(confusion [][]int64, k int) (actual, predicted int64) {
	for other := range confusion {
		actual += confusion[k][other]
		predicted += confusion[other][k]
	}
	return actual, predicted
}

// basic are the metrics of any set of rows of several classes.
func (r *ClassRows) basic(predicted []int32, confusion [][]int64, aucs []float64) map[string]float64 {
	m := classFigures(confusion)
	logarithmic, squared, auc := 0.0, 0.0, 0.0
	right, weight := 0.0, 0.0
	for i := range r.Labels {
		l, s := r.losses(i)
		logarithmic += l
		squared += s
		w := weightOf(r.Weights, i)
		weight += w
		if predicted[i] == r.Labels[i] {
			right += w
		}
	}
	n := float64(len(r.Labels))
	m["log_loss"], m["brier"] = logarithmic/n, squared/n
	if r.Weights != nil {
		m["weighted_accuracy"] = right / weight
	}
	for _, v := range aucs {
		auc += v
	}
	m["macro_auc"] = auc / float64(len(aucs)) // NaN when a class does not occur
	return defined(m)
}

// aucs gives the AUC of every class against all others.
func (r *ClassRows) aucs() []float64 {
	out := make([]float64, len(r.Names))
	labels := make([]uint8, len(r.Labels))
	for k := range out {
		for i, y := range r.Labels {
			labels[i] = 0
			if int(y) == k {
				labels[i] = 1
			}
		}
		out[k] = NewCurve(r.Probabilities[k], labels).AUC()
	}
	return out
}

// JudgeClasses makes the report of held-out rows of several classes. What Judge leaves to the caller, it does, too.
func JudgeClasses(r ClassRows) Report {
	r.check()
	predicted := r.predicted()
	confusion, aucs := r.confuse(predicted), r.aucs()
	top, right := make([]float64, len(predicted)), make([]uint8, len(predicted))
	for i, k := range predicted {
		top[i] = r.Probabilities[k][i]
		if k == r.Labels[i] {
			right[i] = 1
		}
	}
	return Report{
		Kind: Multiclass, Rows: int64(len(r.Labels)), Metrics: r.basic(predicted, confusion, aucs), Classes: r.classes(confusion, aucs),
		Calibration: Calibration(top, right, 10), Importance: []Importance{},
		Segments: r.segments(), ByGroup: byGroup(r.Groups, func(i int) bool { return right[i] == 1 }),
	}
}

// classes gives each class against all others.
func (r *ClassRows) classes(confusion [][]int64, aucs []float64) *Classes {
	out := &Classes{Classes: []Class{}, Confusion: confusion}
	for k, name := range r.Names {
		actual, guessed := margins(confusion, k)
		hits := float64(confusion[k][k])
		out.Classes = append(out.Classes, Class{
			Class: name, Rows: actual, Predicted: guessed, Precision: known(hits / float64(guessed)), Recall: known(hits / float64(actual)),
			F1: known(2 * hits / float64(actual+guessed)), AUC: known(aucs[k]),
		})
	}
	return out
}

// JudgeClassFolds makes the report of a cross-validation; fold gives each row's fold, from 0 to k-1.
func JudgeClassFolds(r ClassRows, fold []int, k int) *Folds {
	r.check()
	same(len(fold), len(r.Labels))
	all := JudgeClasses(r)
	f := &Folds{K: k, Rows: all.Rows, Metrics: all.Metrics, Classes: all.Classes, Segments: all.Segments, ByGroup: all.ByGroup}
	for part := range k {
		own := r.only(rowsOf(fold, part))
		predicted := own.predicted()
		f.add(Fold{Rows: int64(len(own.Labels)), Metrics: own.basic(predicted, own.confuse(predicted), own.aucs())}, own.Groups)
	}
	return f
}

// only gives some of the rows.
func (r *ClassRows) only(rows []int) ClassRows {
	out := ClassRows{Names: r.Names, Labels: pick(r.Labels, rows), Weights: pick(r.Weights, rows), Segments: pick(r.Segments, rows), Groups: pick(r.Groups, rows)}
	for _, p := range r.Probabilities {
		out.Probabilities = append(out.Probabilities, pick(p, rows))
	}
	return out
}

// rowsOf lists the rows of a fold.
func rowsOf(fold []int, part int) []int {
	var out []int
	for i, f := range fold {
		if f == part {
			out = append(out, i)
		}
	}
	return out
}

// pick gives some of the values, nil of nil.
func pick[T any](values []T, rows []int) []T {
	if values == nil {
		return nil
	}
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = values[r]
	}
	return out
}

// add counts a fold's groups and appends it.
func (f *Folds) add(one Fold, groups []string) {
	seen := map[string]bool{}
	for _, g := range groups {
		seen[g] = true
	}
	one.Groups = int64(len(seen))
	f.Groups += one.Groups
	f.ByFold = append(f.ByFold, one)
}

// segments gives nil when the rows have no segments.
func (r *ClassRows) segments() *Segments {
	if r.Segments == nil {
		return nil
	}
	members := map[string][]int{}
	var names []string
	for i, name := range r.Segments {
		if members[name] == nil {
			names = append(names, name)
		}
		members[name] = append(members[name], i)
	}
	slices.Sort(names)
	out := &Segments{Segments: int64(len(names))}
	all := ClassRows{Names: r.Names, Probabilities: make([][]float64, len(r.Names))}
	for _, name := range names {
		probabilities, label, mixed := r.segment(members[name])
		for k, p := range probabilities {
			all.Probabilities[k] = append(all.Probabilities[k], p)
		}
		all.Labels = append(all.Labels, label)
		if mixed {
			out.Mixed++
		}
	}
	predicted := all.predicted()
	confusion, aucs := all.confuse(predicted), all.aucs()
	out.Metrics, out.Classes = all.basic(predicted, confusion, aucs), all.classes(confusion, aucs)
	return out
}

// segment gives the weighted mean probabilities of some rows, the label that most of their weight has (the first among
// equals), and whether they have several.
func (r *ClassRows) segment(rows []int) (probabilities []float64, label int32, mixed bool) {
	total := 0.0
	for _, i := range rows {
		total += weightOf(r.Weights, i)
	}
	weights := r.Weights
	if total == 0 {
		weights, total = nil, float64(len(rows))
	}
	probabilities, byLabel := make([]float64, len(r.Names)), make([]float64, len(r.Names))
	for _, i := range rows {
		w := weightOf(weights, i)
		for k, p := range r.Probabilities {
			probabilities[k] += float64(w * p[i] / total)
		}
		byLabel[r.Labels[i]] += w
		mixed = mixed || r.Labels[i] != r.Labels[rows[0]]
	}
	for k, w := range byLabel {
		if w > byLabel[label] {
			label = int32(k)
		}
	}
	return probabilities, label, mixed
}
