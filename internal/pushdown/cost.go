package pushdown

import "damson/internal/forest"

// Cost is about what a training in the database takes.
type Cost struct {
	Statements int64
	Temporary  int64 // bytes of the temporary tables
	Visits     int64 // rows that are looked at, once for each level of each tree
	Counts     int64 // that leave the database, at most
}

// Predict tells the cost for so many training rows with so many features that are numbers, and texts:
//
//	temporary   a row takes 100 bytes, 8 for each number and 16 for each text; then 60 and 2 for each feature's bin; one column's
//	            values at a time take 24. Of the rows that the model is tried on, and of those that the look for leaks cuts bins from,
//	            20,000 at most, a row takes 40 bytes more and its features' again, and each value that is tried takes 40
//	statements  50, 9 for each number, 4 for each text; for each level of the trees as many as its nodes need, with at most 32
//	            trees and about 3,000 nodes and questions each
//	counts      of each node, and each feature that it looks at, one for each bin, but not more than a tree has rows; then 555 for each
//	            feature, of the looks
func Predict(rows int64, numbers, texts int, p forest.Params) Cost {
	features := int64(numbers + texts)
	p = p.FeaturesOf(int(features), 2)
	width, few := 8*int64(numbers)+16*int64(texts), min(rows, 20_000)
	c := Cost{
		Statements: 50 + 9*int64(numbers) + 4*int64(texts),
		Temporary:  rows*(100+width+60+2*features+24) + 2*few*(40+width) + 40*min(triedAtOnce, 3*features*few),
		Counts:     555 * features,
	}
	trees, each := int64(p.Trees), int64(p.FeaturesPerSplit)
	nodes, most := int64(1), max(1, rows/int64(max(p.MinSplit, 2)))
	for range p.MaxDepth {
		size := nodes * (2 + each)
		c.Statements += max(quotient(trees, treesAtOnce), quotient(trees*size, nodesAtOnce))
		c.Visits += rows * trees
		c.Counts += trees * each * min(nodes*int64(p.Bins), rows)
		nodes = min(2*nodes, most)
	}
	return c
}

// quotient rounds up.
func quotient(a, b int64) int64 { return (a + b - 1) / b }
