package metric

import (
	"slices"
	"strings"
)

// Names of metrics of a set of rows, by kind; the weighted ones need a weight column.
var (
	binaryNames     = []string{"auc", "pr_auc", "accuracy", "weighted_accuracy", "majority_accuracy", "precision", "recall", "f1", "log_loss", "brier"}
	multiclassNames = []string{"accuracy", "balanced_accuracy", "weighted_accuracy", "majority_accuracy", "macro_f1", "weighted_f1", "macro_auc", "log_loss", "brier"}
	regressionNames = []string{"rmse", "mae", "r2", "mape", "median_absolute_error", "max_error", "bias", "weighted_rmse", "weighted_mae", "mean_rmse"}
	clusteringNames = []string{"silhouette", "calinski_harabasz", "davies_bouldin", "inertia", "adjusted_rand", "normalized_mutual_info", "homogeneity", "completeness", "v_measure"}
	classNames      = []string{"precision", "recall", "f1", "auc"} // of a class: "recall.bus"
)

func plainNames(k Kind) []string {
	switch k {
	case Multiclass:
		return multiclassNames
	case Regression:
		return regressionNames
	case Clustering:
		return clusteringNames
	}
	return binaryNames
}

// Names lists what Value understands in reports of a kind: the counts "rows" and (Binary) "positives"; the metrics of the
// held-out rows, of their segments ("segment.auc"), of a cross-validation ("cv.auc", "cv.segment.auc"); and the bounds of
// intervals ("auc.low", "auc.high"). Each of several classes has metrics of its own besides, which ClassName names, with the
// same prefixes ("cv.segment.recall.bus").
func Names(k Kind) []string {
	names := []string{"rows"}
	if k == Binary {
		names = append(names, "positives")
	}
	for _, prefix := range prefixes {
		segment := strings.HasSuffix(prefix, "segment.")
		if segment && k == Regression || prefix != "" && k == Clustering {
			continue
		}
		for _, name := range plainNames(k) {
			if !segment || name != "weighted_accuracy" {
				names = append(names, prefix+name)
			}
		}
	}
	for _, name := range intervalNames[k] {
		names = append(names, name+".low", name+".high")
	}
	return names
}

// prefixes of names say which rows a metric is of.
var prefixes = []string{"", "segment.", "cv.", "cv.segment."}

// Kinds are all kinds that models can be of.
var Kinds = []Kind{Binary, Multiclass, Regression, Clustering}

// NeedTarget are the metrics that compare clusters with a target.
var NeedTarget = []string{"adjusted_rand", "normalized_mutual_info", "homogeneity", "completeness", "v_measure"}

// AllNames lists the names of every kind once.
func AllNames() []string {
	var all []string
	for _, k := range Kinds {
		for _, name := range Names(k) {
			if !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}

// Known reports whether some report could have the metric: one of AllNames, or one of a class ("recall.bus").
func Known(name string) bool {
	if slices.Contains(AllNames(), name) {
		return true
	}
	name = strings.TrimPrefix(strings.TrimPrefix(name, "cv."), "segment.")
	metric, class, ok := strings.Cut(name, ".")
	return ok && slices.Contains(classNames, metric) && class != "" && class == word(class)
}

// ClassName is the name of a class's metric: "recall.bus". Characters that are no letters, digits or "_" become "_".
func ClassName(metric, class string) string { return metric + "." + word(class) }

// word writes a text as one word of a gate.
func word(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r >= 0x80 {
			return r
		}
		return '_'
	}, text)
}

// Names lists the metrics that the report has, without the bounds of their intervals.
func (r Report) Names() []string {
	kind := r.Kind
	if kind == "" {
		kind = Binary
	}
	names := Names(kind)
	if r.Classes != nil {
		for _, prefix := range prefixes {
			for _, c := range r.Classes.Classes {
				for _, metric := range classNames {
					names = append(names, prefix+ClassName(metric, c.Class))
				}
			}
		}
	}
	return slices.DeleteFunc(names, func(name string) bool {
		_, ok := r.Value(name)
		_, bound := r.bound(name)
		return !ok || bound
	})
}

// Value gives a metric by its name; false when the report does not have it.
func (r Report) Value(name string) (float64, bool) {
	switch {
	case name == "rows":
		return float64(r.Rows), true
	case name == "positives" && (r.Kind == "" || r.Kind == Binary):
		return float64(r.Positives), true
	}
	if v, ok := r.bound(name); ok {
		return v, true
	}
	metrics, classes, segments := r.Metrics, r.Classes, r.Segments
	if rest, ok := strings.CutPrefix(name, "cv."); ok {
		if r.Folds == nil {
			return 0, false
		}
		name, metrics, classes, segments = rest, r.Folds.Metrics, r.Folds.Classes, r.Folds.Segments
	}
	if rest, ok := strings.CutPrefix(name, "segment."); ok {
		if segments == nil {
			return 0, false
		}
		name, metrics, classes = rest, segments.Metrics, segments.Classes
	}
	if v, ok := metrics[name]; ok {
		return v, true
	}
	return classes.value(name)
}

// bound gives an end of an interval.
func (r Report) bound(name string) (float64, bool) {
	if r.Intervals == nil {
		return 0, false
	}
	if of, ok := strings.CutSuffix(name, ".low"); ok {
		i, ok := r.Intervals.Metrics[of]
		return i.Low, ok
	}
	of, ok := strings.CutSuffix(name, ".high")
	i, known := r.Intervals.Metrics[of]
	return i.High, ok && known
}

// value gives a metric of a class; there are none where there is no report of classes.
func (k *Classes) value(name string) (float64, bool) {
	metric, class, ok := strings.Cut(name, ".")
	if !ok || k == nil {
		return 0, false
	}
	for _, c := range k.Classes {
		if word(c.Class) != class {
			continue
		}
		v := map[string]*float64{"precision": c.Precision, "recall": c.Recall, "f1": c.F1, "auc": c.AUC}[metric]
		if v != nil {
			return *v, true
		}
	}
	return 0, false
}
