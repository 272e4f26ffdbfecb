package mltrain_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"damson/internal/metric"
	"damson/internal/mltrain"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
	"damson/internal/warehouse"
)

// inside trains a model in the database.
func inside(t *testing.T, w *warehouse.Warehouse, m pipeline.Model, sql string) (*mltrain.Trained, error) {
	t.Helper()
	m.DataStays = true
	return mltrain.Train(t.Context(), w, m, sqltext.Plain("sql/trips.sql", sql), mltrain.Options{Warehouse: w})
}

// TestTrainedInTheDatabaseItIsTheSameModel compares with reading the rows, on the same warehouse.
func TestTrainedInTheDatabaseItIsTheSameModel(t *testing.T) {
	t.Parallel()
	warehouses := openWarehouses(t)
	for name := range kindsOf {
		m := declaredKind(name)
		if m.Forest == nil && m.Tree == nil {
			continue
		}
		for kind, w := range warehouses {
			t.Run(name+" on "+kind, func(t *testing.T) {
				t.Parallel()
				want, err := mltrain.Train(t.Context(), w, m, sqltext.Plain("sql/trips.sql", trips), mltrain.Options{})
				if err != nil {
					t.Fatal(err)
				}
				got, err := inside(t, w, m, trips)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got.Version.Artifact, want.Version.Artifact) || got.Version.Hash != want.Version.Hash {
					t.Errorf("the database made artifact %.12s, Go %.12s", got.Version.Hash, want.Version.Hash)
				}
				aside := cmp.Options{cmpopts.IgnoreFields(metric.Report{}, "Importance", "Dependence", "Warnings", "Inside"), cmpopts.EquateApprox(0, 1e-12)}
				if diff := cmp.Diff(want.Report, got.Report, aside); diff != "" {
					t.Errorf("it is judged differently:\n%s", diff)
				}
			})
		}
	}
}
