package metric

import (
	"maps"
	"math"
	"slices"
)

// curvePoints is how many points a report keeps of a curve.
const curvePoints = 200

// Kind is what a model predicts.
type Kind string

const (
	Binary     Kind = "binary"     // the probability of class 1 of two
	Multiclass Kind = "multiclass" // the probabilities of three and more classes
	Regression Kind = "regression" // a number
	Clustering Kind = "clustering" // the nearest of some clusters
)

// Report is how a model was judged. It is stored with the version as JSON: fields are added, never renamed. What belongs
// to another kind of model than Kind is absent.
type Report struct {
	Kind      Kind  `json:"kind"` // "" = Binary, in versions from before there were others
	Rows      int64 `json:"rows"` // held out
	Positives int64 `json:"positives,omitzero"`
	// ClassNames are those of class 0 and class 1 when they are called otherwise.
	ClassNames []string           `json:"class_names,omitempty"`
	Threshold  float64            `json:"threshold,omitzero"` // from which a probability counts as class 1
	Metrics    map[string]float64 `json:"metrics"`            // see Names; what the rows do not define is absent
	Intervals  *Intervals         `json:"intervals,omitempty"`

	Confusion   Confusion `json:"confusion,omitzero"`
	ROC         []Point   `json:"roc,omitzero"`
	PR          []Point   `json:"pr,omitzero"`
	Calibration []Bin     `json:"calibration,omitzero"` // of several classes: of the likeliest one's probability
	Thresholds  []Cut     `json:"thresholds,omitzero"`
	Lift        []Tier    `json:"lift,omitzero"`

	Classes    *Classes  `json:"classes,omitempty"`
	Regression *Numbers  `json:"regression,omitempty"`
	Clusters   *Clusters `json:"clusters,omitempty"`

	Importance []Importance `json:"importance"` // by falling permutation importance, then gain
	Dependence []Dependence `json:"dependence,omitempty"`
	Segments   *Segments    `json:"segments,omitempty"`
	ByGroup    []Group      `json:"by_group,omitempty"`
	Folds      *Folds       `json:"cross_validation,omitempty"`
	Training   Training     `json:"training"`
	Warnings   []string     `json:"warnings,omitempty"`
	Inside     bool         `json:"trained_in_database,omitzero"` // by SQL; of a model that is too large for it, Importance has no Permutation, and there is no Dependence
}

// Training says what the model was trained on.
type Training struct {
	Rows      int64 `json:"rows"`
	Positives int64 `json:"positives,omitzero"`
	Groups    int64 `json:"groups"` // values of the split's column on the training side
	Skipped   int64 `json:"skipped_without_target"`
}

// Importance is how much a feature matters: Gain by the splits it made in training, Permutation by what is lost on
// held-out rows when its values are shuffled among them.
type Importance struct {
	Feature     string  `json:"feature"`
	Gain        float64 `json:"gain"`
	Permutation float64 `json:"permutation"` // of the AUC, of the negative log loss of several classes, of R²; of a clustering, the share of rows that get into another cluster
}

// Segments judges rows that belong together as one: mean probabilities, weighted, against the label that most of the
// weight has. A segment whose weights are all 0 counts its rows alike.
type Segments struct {
	Segments  int64              `json:"segments"`
	Mixed     int64              `json:"mixed"` // segments whose rows have both labels
	Metrics   map[string]float64 `json:"metrics"`
	Confusion Confusion          `json:"confusion,omitzero"`
	Classes   *Classes           `json:"classes,omitempty"` // of several classes
}

// Group is the rows of one value of the split's column.
type Group struct {
	Group    string  `json:"group"`
	Rows     int64   `json:"rows"`
	Positive int64   `json:"positives,omitzero"`
	Accuracy float64 `json:"accuracy"`
}

// Folds is a cross-validation: every row was predicted by a model that saw no row of its group, and all are judged together.
type Folds struct {
	K         int                `json:"k"`
	Rows      int64              `json:"rows"`
	Groups    int64              `json:"groups"`
	Metrics   map[string]float64 `json:"metrics"`
	Confusion Confusion          `json:"confusion,omitzero"` // of two classes
	Classes   *Classes           `json:"classes,omitempty"`  // of several classes
	Segments  *Segments          `json:"segments,omitempty"`
	ByGroup   []Group            `json:"by_group,omitempty"`
	ByFold    []Fold             `json:"by_fold"`
}

// Fold is one part of a cross-validation. Of two classes it has the AUC, absent when its rows have one class only, and the
// accuracy; of other kinds all metrics.
type Fold struct {
	Rows     int64              `json:"rows"`
	Groups   int64              `json:"groups"`
	AUC      *float64           `json:"auc,omitempty"`
	Accuracy float64            `json:"accuracy,omitzero"`
	Metrics  map[string]float64 `json:"metrics,omitempty"`
}

// Rows are judged rows, by column.
type Rows struct {
	Probabilities []float64
	Labels        []uint8
	Weights       []float64 // nil = 1 each
	Segments      []string  // nil = none
	Groups        []string  // nil = none
}

// basic are the metrics of any set of rows.
func basic(r Rows, c Curve, confusion Confusion, threshold float64) map[string]float64 {
	m := map[string]float64{
		"auc": c.AUC(), "pr_auc": c.AveragePrecision(),
		"accuracy": confusion.Accuracy(), "precision": confusion.Precision(), "recall": confusion.Recall(), "f1": confusion.F1(),
		"log_loss": LogLoss(r.Probabilities, r.Labels), "brier": Brier(r.Probabilities, r.Labels),
		"majority_accuracy": max(float64(c.positives), float64(c.negatives)) / float64(c.positives+c.negatives),
	}
	if r.Weights != nil {
		m["weighted_accuracy"] = WeightedAccuracy(r.Probabilities, r.Labels, r.Weights, threshold)
	}
	return defined(m)
}

// defined leaves out what the rows did not define.
func defined(m map[string]float64) map[string]float64 {
	maps.DeleteFunc(m, func(_ string, v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	return m
}

// Judge makes the report of a set of held-out rows. Intervals, Importance, Dependence, Folds, Training and Warnings are left
// to the caller.
func Judge(r Rows, threshold float64) Report {
	c, confusion := NewCurve(r.Probabilities, r.Labels), Confuse(r.Probabilities, r.Labels, threshold)
	return Report{
		Kind: Binary, Rows: int64(len(r.Labels)), Positives: c.positives, Threshold: threshold,
		Metrics: basic(r, c, confusion, threshold), Confusion: confusion,
		ROC: c.ROC(curvePoints), PR: c.PR(curvePoints),
		Calibration: Calibration(r.Probabilities, r.Labels, 10),
		Thresholds:  c.Cuts(), Lift: c.Lift(10),
		Importance: []Importance{},
		Segments:   judgeSegments(r, threshold), ByGroup: judgeGroups(r, threshold),
	}
}

// JudgeFolds makes the report of a cross-validation; fold gives each row's fold, from 0 to k-1.
func JudgeFolds(r Rows, fold []int, k int, threshold float64) *Folds {
	same(len(fold), len(r.Labels))
	c, confusion := NewCurve(r.Probabilities, r.Labels), Confuse(r.Probabilities, r.Labels, threshold)
	f := &Folds{
		K: k, Rows: int64(len(r.Labels)), Metrics: basic(r, c, confusion, threshold), Confusion: confusion,
		Segments: judgeSegments(r, threshold), ByGroup: judgeGroups(r, threshold),
	}
	for part := range k {
		var own Rows
		groups := map[string]bool{}
		for i := range fold {
			if fold[i] != part {
				continue
			}
			own.Probabilities, own.Labels = append(own.Probabilities, r.Probabilities[i]), append(own.Labels, r.Labels[i])
			if r.Groups != nil {
				groups[r.Groups[i]] = true
			}
		}
		line := Fold{Rows: int64(len(own.Labels)), Groups: int64(len(groups)), Accuracy: Confuse(own.Probabilities, own.Labels, threshold).Accuracy()}
		if auc := NewCurve(own.Probabilities, own.Labels).AUC(); !math.IsNaN(auc) {
			line.AUC = &auc
		}
		f.ByFold = append(f.ByFold, line)
		f.Groups += line.Groups
	}
	return f
}

// judgeSegments gives nil when the rows have no segments.
func judgeSegments(r Rows, threshold float64) *Segments {
	if r.Segments == nil {
		return nil
	}
	type sums struct{ weight, probability, positive float64 }
	total := map[string]float64{}
	for i, name := range r.Segments {
		total[name] += weightOf(r.Weights, i)
	}
	bySegment := map[string]*sums{}
	var names []string
	for i, name := range r.Segments {
		s := bySegment[name]
		if s == nil {
			s = new(sums)
			bySegment[name] = s
			names = append(names, name)
		}
		w := 1.0
		if total[name] > 0 {
			w = weightOf(r.Weights, i)
		}
		s.weight += w
		s.probability += float64(w * r.Probabilities[i])
		s.positive += float64(w * float64(r.Labels[i]))
	}
	slices.Sort(names)
	out := &Segments{Segments: int64(len(names))}
	var one Rows
	for _, name := range names {
		s := bySegment[name]
		label := uint8(0)
		if 2*s.positive >= s.weight {
			label = 1
		}
		if s.positive != 0 && s.positive != s.weight {
			out.Mixed++
		}
		one.Probabilities, one.Labels = append(one.Probabilities, s.probability/s.weight), append(one.Labels, label)
	}
	out.Confusion = Confuse(one.Probabilities, one.Labels, threshold)
	out.Metrics = basic(one, NewCurve(one.Probabilities, one.Labels), out.Confusion, threshold)
	return out
}

// byGroup gives one line for each group, by name; nil when there are none.
func byGroup(groups []string, right func(i int) bool) []Group {
	if groups == nil {
		return nil
	}
	byName := map[string]*Group{}
	for i, name := range groups {
		g := byName[name]
		if g == nil {
			g = &Group{Group: name}
			byName[name] = g
		}
		g.Rows++
		if right(i) {
			g.Accuracy++ // a count until all are seen
		}
	}
	out := make([]Group, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		g := byName[name]
		g.Accuracy /= float64(g.Rows)
		out = append(out, *g)
	}
	return out
}

// judgeGroups is byGroup with the positives of each.
func judgeGroups(r Rows, threshold float64) []Group {
	out := byGroup(r.Groups, func(i int) bool { return (r.Probabilities[i] >= threshold) == (r.Labels[i] == 1) })
	positives := map[string]int64{}
	for i, name := range r.Groups {
		positives[name] += int64(r.Labels[i])
	}
	for g := range out {
		out[g].Positive = positives[out[g].Group]
	}
	return out
}
