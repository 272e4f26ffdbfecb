package learn

import (
	"context"

	"damson/internal/cluster"
	"damson/internal/metric"
	"damson/internal/pipeline"
)

var kMeans = Algorithm{
	Name: "k_means", Kinds: []metric.Kind{metric.Clustering}, Features: cluster.MaxFeatures, Bytes: 24,
	Steps:  func(pipeline.Model) int { return 0 },
	Check:  func(m pipeline.Model) error { return clusterParams(m).Check() },
	Train:  trainClusters,
	Decode: decodeClusters,
}

func clusterParams(m pipeline.Model) cluster.Params {
	k := m.KMeans
	return cluster.Params{K: k.K, Init: k.Init, Inits: k.Inits, MaxIterations: k.MaxIterations, Tolerance: k.Tolerance, Standardise: k.Standardise, Seed: m.Split.Seed}
}

func trainClusters(ctx context.Context, l Lesson) (Predictor, []string, error) {
	columns := make([]cluster.Column, len(l.Features))
	for f, own := range l.Features {
		columns[f] = cluster.Column{Name: own.Name, Numbers: l.Columns[f]}
	}
	m, fit, err := cluster.Train(ctx, columns, l.Rows, clusterParams(l.Model), cluster.Options{Threads: l.Threads})
	if err != nil {
		return nil, nil, err
	}
	return Clusters{m}, fit.Warnings, nil
}

func decodeClusters(artifact []byte, features []Feature) (Predictor, error) {
	m, err := cluster.Decode(artifact)
	if err != nil {
		return nil, err
	}
	return Clusters{m}, checkFeatures(m.Features(), len(features))
}

// Clusters is a clustering as a predictor: its outputs are the number of the nearest cluster, and the distance to its centre.
type Clusters struct{ *cluster.Model }

// Outputs is 2.
func (c Clusters) Outputs() int { return 2 }

// PredictRows gives numbers and distances.
func (c Clusters) PredictRows(ctx context.Context, columns [][]float64, rows []int32, threads int) ([][]float64, error) {
	clusters, distances, err := c.Model.PredictRows(ctx, columns, rows, threads)
	return [][]float64{clusters, distances}, err
}

// SQL gives the number as a bigint.
func (c Clusters) SQL(columns []string, prefix string) Scoring {
	steps, number, distance := c.Model.SQL(columns, prefix)
	s := Scoring{Outputs: []string{number, distance}}
	for _, step := range steps {
		var items []Item
		for _, own := range step {
			items = append(items, Item(own))
		}
		s.Steps = append(s.Steps, items)
	}
	return s
}
