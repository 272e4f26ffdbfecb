package pushdown_test

import (
	"testing"

	"damson/internal/forest"
	"damson/internal/pushdown"
)

// TestCostIsWhatTheDocumentationSays has the example of docs/models.md.
func TestCostIsWhatTheDocumentationSays(t *testing.T) {
	got := pushdown.Predict(100_000, 24, 0, forest.Params{Trees: 20, MaxDepth: 8, MinSplit: 2, MinLeaf: 1, Bins: 32})
	if want := (pushdown.Cost{Statements: 282, Temporary: 100_000*(184+24*10) + 40_000*(40+24*8) + 500_000*40, Visits: 16_000_000, Counts: 652_800 + 24*555}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
