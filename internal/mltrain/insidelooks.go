package mltrain

import (
	"context"
	"slices"

	"damson/internal/leak"
	"damson/internal/pushdown"
)

// leaksInside does what lookForLeaks does, by SQL.
func (t *training) leaksInside(ctx context.Context, staged *pushdown.Rows, facts *pushdown.Facts, lesson pushdown.Lesson) error {
	t.progress(StageLeaks, 0, 0)
	m := t.model
	evidence, err := staged.Leaks(ctx, pushdown.Looks{Lesson: lesson, ClassNames: t.asked.classes, Halves: t.halves(), Sample: t.leakSample(),
		Share: leakShare(int(facts.Rows)), Segments: m.Segment != "" && m.Segment != m.Split.By, Times: m.Split.By != "" && m.Split.Time != ""})
	if err != nil {
		return err
	}
	t.warnOfLeaks(leak.Judge(evidence), func(f int) bool { return slices.Contains(facts.Empty, f) })
	return nil
}
