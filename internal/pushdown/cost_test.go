package pushdown_test

import (
	"testing"

	"damson/internal/forest"
	"damson/internal/pushdown"
)

// TestCostIsWhatTheDocumentationSays has the example of docs/models.md: of 100,000 rows 80,000 are learned from.
func TestCostIsWhatTheDocumentationSays(t *testing.T) {
	t.Parallel()
	all, training := pushdown.Size{Rows: 100_000, Numbers: 24}, pushdown.Size{Rows: 80_000, Numbers: 24}
	lesson := training.Packed().Plus(training.Grown(forest.Params{Trees: 20, MaxDepth: 8, MinSplit: 2, MinLeaf: 1, Bins: 32}))
	got := all.Copied().Plus(lesson).Plus(all.Looked())
	if want := (pushdown.Cost{Statements: 285, Temporary: 40_000*(40+24*8) + 500_000*40, Visits: 12_800_000, Counts: 652_800 + 24*555}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if want := int64(80_000 * (84 + 24*2)); lesson.Temporary != want {
		t.Errorf("%d bytes of bins, want %d", lesson.Temporary, want)
	}
	if want := int64(40_000*(40+24*8) + 500_000*40); all.Looked().Temporary != want {
		t.Errorf("%d bytes to look at, want %d", all.Looked().Temporary, want)
	}
}
