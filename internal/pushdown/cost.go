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
//	            values at a time take 24
//	statements  12, 4 for each number, 3 for each text; for each level of the trees as many as its nodes need, with at most 32
//	            trees and about 3,000 nodes and questions each
//	counts      of each node, and each feature that it looks at, one for each bin, but not more than a tree has rows
func Predict(rows int64, numbers, texts int, p forest.Params) Cost {
	features := int64(numbers + texts)
	p = p.FeaturesOf(int(features), 2)
	c := Cost{
		Statements: 12 + 4*int64(numbers) + 3*int64(texts),
		Temporary:  rows * (100 + 8*int64(numbers) + 16*int64(texts) + 60 + 2*features + 24),
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
