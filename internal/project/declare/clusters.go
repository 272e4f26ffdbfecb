package declare

import (
	"fmt"
	"slices"
	"strings"

	"damson/internal/metric"
	"damson/internal/pipeline"
)

// kMeans is k_means(…).
func (c *call) kMeans() pipeline.Algorithm {
	k := pipeline.KMeans{
		K:             c.whole("k", 8, 2, 1000),
		Init:          c.choice("init", "k-means++", []string{"k-means++", "random"}),
		MaxIterations: c.whole("max_iter", 300, 1, 100_000),
		Tolerance:     c.real("tol", 1e-4, "a number from 0 to below 1", func(v float64) bool { return v >= 0 && v < 1 }),
		Standardise:   c.boolean("standardise", true),
	}
	times := 1
	if k.Init == "random" {
		times = 10
	}
	k.Inits = c.whole("n_init", times, 1, 1000)
	return pipeline.Algorithm{KMeans: &k}
}

// checkClustering refuses what only a model that predicts can be asked.
func (c *call) checkClustering(m *pipeline.Model) {
	if m.KMeans == nil {
		return
	}
	for _, never := range []struct{ key, why string }{
		{"cross_validation", "whose clusters would have other numbers in every fold; the held-out rows judge it"},
		{"threshold", "which gives no probabilities"},
		{"segment", "whose rows are not judged together"},
		{"weight", "whose rows all count alike"},
	} {
		if c.has(never.key) {
			c.report(c.place(never.key), "Not for clusters", fmt.Sprintf("Remove %s.", never.key), "Model %s has %s and is a %s, %s.", m.Name, never.key, m.Algorithm.Name(), never.why)
		}
	}
	if m.DataStays {
		c.report(c.place("data_stays"), "Can not be trained in the database", "Remove data_stays.",
			"Model %s has data_stays = True and is a %s, which needs its rows in memory.", m.Name, m.Algorithm.Name())
	}
}

// foreignToClusters refuses a metric that no clustering has, or not without a target, and reports whether it did.
func (c *call) foreignToClusters(m *pipeline.Model, key, name, where string) bool {
	names := metric.Names(metric.Clustering)
	plain := strings.TrimSuffix(strings.TrimSuffix(name, ".low"), ".high")
	switch {
	case !metric.Known(name):
		return false
	case !slices.Contains(names, name):
		c.report(c.place(key), "Metric of another kind", fmt.Sprintf("Take one of: %s.", strings.Join(names[:10], ", ")),
			"Model %s is a %s, which has no %s (%s).", m.Name, m.Algorithm.Name(), name, where)
	case m.Target == "" && slices.Contains(metric.NeedTarget, plain):
		c.report(c.place(key), "Nothing to compare with", "Add target = the column that clusters are compared with, or take silhouette.",
			"%s of model %s compares clusters with a target, and the model has none (%s).", name, m.Name, where)
	default:
		return false
	}
	return true
}
