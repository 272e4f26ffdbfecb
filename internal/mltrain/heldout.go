package mltrain

import (
	"damson/internal/heldout"
	"damson/internal/metric"
	"damson/internal/tree"
)

// keep remembers the outputs of held-out rows, as many as a version keeps. Rows are in the order of their keys.
func (t *training) keep(rows []int32, outputs [][]float64) {
	if t.asked.kind == metric.Clustering {
		return // distances of two clusterings are not of one kind
	}
	k := heldout.Rows{Kind: t.asked.kind, Classes: t.asked.classes, All: int64(len(rows)), Outputs: make([][]float64, len(outputs))}
	for i, r := range rows {
		id := t.rows.keys[r].Bits()
		if n := len(k.Keys); n == heldout.Most(len(outputs)) {
			break
		} else if n > 0 && k.Keys[n-1] == id { // two ids with one hash
			continue
		}
		k.Keys, k.Targets = append(k.Keys, id), append(k.Targets, t.rows.target[r])
		if t.rows.groups.used {
			k.Groups = append(k.Groups, tree.KeyOf(t.rows.groups.Names[t.rows.groups.codes[r]]).Bits())
		}
		for output, own := range outputs {
			k.Outputs[output] = append(k.Outputs[output], own[i])
		}
	}
	t.kept = k
}
