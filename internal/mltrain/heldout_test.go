package mltrain_test

import (
	"testing"

	"damson/internal/heldout"
	"damson/internal/mltrain"
	"damson/internal/pipeline"
	"damson/internal/sqltext"
)

// TestMoreRowsThanAreKept: of a hundred classes few rows are kept, those whose ids have the lowest hashes.
func TestMoreRowsThanAreKept(t *testing.T) {
	t.Parallel()
	m := pipeline.Model{Name: "many", ID: "id", Target: "label", Split: pipeline.Holdout{Test: 0.5, Seed: 7}, Threshold: 0.5, Approval: "none",
		Algorithm: pipeline.Algorithm{Forest: &pipeline.RandomForest{Trees: 1, MaxDepth: 2, MinSplit: 2, MinLeaf: 1, Bins: 10}}}
	kept := func(rows string) (r heldout.Rows, held int64) {
		got, err := mltrain.Train(t.Context(), newDuck(t), m, sqltext.Plain("sql/many.sql", "select 'r' || i as id, i % 7 as x, 'c' || i % 100 as label from range("+rows+") as t(i)"), mltrain.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if r, err = heldout.Decode(got.Version.HeldOut); err != nil {
			t.Fatal(err)
		}
		return r, got.Report.Rows
	}
	few, held := kept("6000")
	if n := len(few.Keys); n != heldout.Most(100) || few.All != held || held <= int64(n) {
		t.Errorf("%d of %d rows are kept, which says %d", n, held, few.All)
	}
	if few.Groups != nil {
		t.Error("a split without groups has some")
	}
	more, _ := kept("6200")
	c, err := heldout.Compare(t.Context(), few, more, 0.5, 0.5)
	if err != nil || c.Rows < 2400 || !c.Sampled {
		t.Errorf("a few rows more leave %+v in common, %v", c, err)
	}
}
