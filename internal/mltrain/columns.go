package mltrain

import (
	"fmt"

	"damson/internal/diag"
	"damson/internal/learn"
	"damson/internal/mltrain/cells"
	"damson/internal/pipeline"
	"damson/internal/warehouse/driver"
)

// CheckColumns refuses columns of a source, as the warehouse describes them, that would be features, or are the target, and have lists,
// documents, bytes and the like: as the texts that Train reads, each would be a level of its own.
func CheckColumns(m pipeline.Model, columns []driver.Column) error {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	parts := append([]string{m.ID, m.Weight, m.Segment, m.Split.By, m.Split.Time}, m.Exclude...)
	if m.Folds != nil {
		parts = append(parts, m.Folds.By)
	}
	aside := map[int]bool{}
	for _, name := range parts {
		aside[cells.Find(names, name)] = true
	}
	target := cells.Find(names, m.Target)
	var all diag.Findings
	for i, c := range columns {
		if c.Type != driver.Text || learn.IsCategory(c) || aside[i] || c.Name == loadedFile {
			continue
		}
		f := diag.Finding{At: m.At, Summary: "Feature is not a number", Fix: fmt.Sprintf("Set it aside with exclude = [%q], or make columns of numbers or texts of it in the source's SELECT.", c.Name),
			Detail: fmt.Sprintf("Column %q in the source of model %q is %s; features are numbers, booleans and texts.", c.Name, m.Name, c.Native)}
		if i == target {
			f.Summary, f.Fix = "Target can not be learned", "Make one of these of it in the source's SELECT."
			f.Detail = fmt.Sprintf("Column %q, the target of model %q, is %s; targets are numbers, booleans and texts.", c.Name, m.Name, c.Native)
		}
		all = append(all, f)
	}
	return all.Err()
}
