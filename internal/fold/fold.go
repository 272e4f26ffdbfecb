// Package fold deals rows out to the folds of a cross-validation. Its central type is Groups: all rows of a group come into one
// fold. It knows neither models nor metrics.
package fold

import (
	"cmp"
	"slices"

	"damson/internal/tree"
)

// Groups say which rows belong together.
type Groups struct {
	Keys  []tree.Key // of the rows, which are a group each where there are no Names
	Codes []int32    // of the rows: the place of their group's name
	Names []string   // nil = every row is a group
}

// group is one to be dealt out.
type group struct {
	code, rows int
	number     uint32
	name       string
}

// Deal gives each row its fold, from 0 to k-1: the largest group first, each to the fold with the fewest rows so far; groups of one
// size in the order of their hash, single rows of one hash as they come. groups says how many there are; with fewer than k nothing is dealt.
func (g Groups) Deal(k int, draw tree.Draw) (fold []int, groups int) {
	all := g.all(draw)
	if len(all) < k {
		return nil, len(all)
	}
	slices.SortFunc(all, func(a, b group) int {
		return cmp.Or(cmp.Compare(b.rows, a.rows), cmp.Compare(a.number, b.number), cmp.Compare(a.name, b.name), cmp.Compare(a.code, b.code))
	})
	dealt, size := make([]int, max(len(g.Keys), len(g.Names))), make([]int, k)
	for _, own := range all {
		smallest := slices.Index(size, slices.Min(size))
		dealt[own.code] = smallest
		size[smallest] += own.rows
	}
	if g.Names == nil {
		return dealt, len(all)
	}
	fold = make([]int, len(g.Codes))
	for i, code := range g.Codes {
		fold[i] = dealt[code]
	}
	return fold, len(all)
}

// all lists the groups that have rows.
func (g Groups) all(draw tree.Draw) []group {
	if g.Names == nil {
		all := make([]group, len(g.Keys))
		for i, key := range g.Keys {
			all[i] = group{code: i, rows: 1, number: draw.Number(key)}
		}
		return all
	}
	all := make([]group, len(g.Names))
	for code, name := range g.Names {
		all[code] = group{code: code, number: draw.Number(tree.KeyOf(name)), name: name}
	}
	for _, code := range g.Codes {
		all[code].rows++
	}
	return slices.DeleteFunc(all, func(own group) bool { return own.rows == 0 })
}

// Part gives those of some rows that are not in a fold, and those that are.
func Part(rows []int32, fold []int, part int) (train, test []int32) {
	for i, r := range rows {
		if fold[i] == part {
			test = append(test, r)
		} else {
			train = append(train, r)
		}
	}
	return train, test
}
