package metric

import (
	"slices"
	"strings"
)

// lowerIsBetter are the metrics of which less is better; of all others more is.
var lowerIsBetter = []string{"log_loss", "brier", "rmse", "mae", "mape", "median_absolute_error", "max_error", "weighted_rmse", "weighted_mae", "davies_bouldin", "inertia"}

// ranksNothing are metrics that say nothing of how good a model is by being high or low.
var ranksNothing = []string{"rows", "positives", "majority_accuracy", "mean_rmse", "bias"}

// Ranks reports whether models can be ranked by a metric of a set of rows, of their segments or of a class ("auc", "segment.f1",
// "recall.bus"), and whether less of it is better.
func Ranks(name string) (lower, ok bool) {
	plain := strings.TrimPrefix(name, "segment.")
	if strings.HasPrefix(name, "cv.") || strings.HasSuffix(name, ".low") || strings.HasSuffix(name, ".high") || slices.Contains(ranksNothing, plain) {
		return false, false
	}
	return slices.Contains(lowerIsBetter, plain), Known(name)
}

// Ranking lists the metrics by which models of a kind can be ranked, those of classes apart.
func Ranking(k Kind) []string {
	return slices.DeleteFunc(Names(k), func(name string) bool {
		_, ok := Ranks(name)
		return !ok
	})
}

// Telling is the metric by which models of a kind are ranked when nothing else is said.
func Telling(k Kind) string {
	switch k {
	case Multiclass:
		return "log_loss"
	case Regression:
		return "rmse"
	case Clustering:
		return "silhouette"
	}
	return "auc"
}

// PairedNames lists the differences that a comparison of two models of a kind on the same rows may have, and the ends of their intervals:
// "auc", "auc.low", "auc.high".
func PairedNames(k Kind) []string {
	if k == Clustering {
		return nil // the distances of two clusterings are not of one kind
	}
	var names []string
	for _, name := range intervalNames[k] {
		names = append(names, name, name+".low", name+".high")
	}
	return names
}
