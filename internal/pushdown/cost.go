package pushdown

import "damson/internal/forest"

// Cost is about what a training in the database takes.
type Cost struct {
	Statements  int64
	Temporary   int64 // bytes of the temporary tables
	Visits      int64 // rows that are looked at, once for each level of each tree
	Counts      int64 // that leave the database, at most
	Predictions int64 // of rows, that leave the database
}

// Plus adds what comes afterwards: tables of the two are there one after the other.
func (c Cost) Plus(more Cost) Cost {
	return Cost{c.Statements + more.Statements, max(c.Temporary, more.Temporary), c.Visits + more.Visits, c.Counts + more.Counts, c.Predictions + more.Predictions}
}

// Size says how many rows there are, with how many features that are numbers, and texts.
type Size struct {
	Rows           int64
	Numbers, Texts int
}

// Copied is the cost of what is done once: a row takes 100 bytes, 8 for each number and 16 for each text; statements are 10, and one
// for each text.
func (s Size) Copied() Cost {
	return Cost{Statements: 10 + int64(s.Texts), Temporary: s.Rows * (100 + 8*int64(s.Numbers) + 16*int64(s.Texts))}
}

// Packed is the cost of the bins of rows that are learned from:
//
//	temporary   a row takes 60 bytes, and 2 for each feature's bin; one column's values at a time take 24
//	statements  2, 4 for each number and 4 for each text
func (s Size) Packed() Cost {
	numbers, texts := int64(s.Numbers), int64(s.Texts)
	return Cost{Statements: 2 + 4*numbers + 4*texts, Temporary: s.Rows * (60 + 2*(numbers+texts) + 24)}
}

// Looked is the cost of what is looked at in all rows: leaks, what features do to the version, and what training rows look like.
//
//	temporary   of up to 20,000 rows, taken twice, each takes 40 bytes, 8 for each number and 16 for each text; each value that the
//	            version is tried with takes 40
//	statements  38, 5 for each number, 2 for each text
//	counts      555 for each feature
func (s Size) Looked() Cost {
	features, few := int64(s.Numbers+s.Texts), min(s.Rows, 20_000)
	return Cost{Statements: 38 + 5*int64(s.Numbers) + 2*int64(s.Texts), Counts: 555 * features,
		Temporary: 2*few*(40+8*int64(s.Numbers)+16*int64(s.Texts)) + 40*min(triedAtOnce, 3*features*few)}
}

// Grown is the cost of a forest that is grown on packed rows:
//
//	statements  3; for each level of the trees as many as its nodes need, with at most 32 trees and about 3,000 nodes and questions each
//	counts      of each node, and each feature that it looks at, one for each bin, but not more than a tree has rows
func (s Size) Grown(p forest.Params) Cost {
	p = p.FeaturesOf(s.Numbers+s.Texts, 2)
	c := Cost{Statements: 3}
	trees, each := int64(p.Trees), int64(p.FeaturesPerSplit)
	nodes, most := int64(1), max(1, s.Rows/int64(max(p.MinSplit, 2)))
	for range p.MaxDepth {
		size := nodes * (2 + each)
		c.Statements += max(quotient(trees, treesAtOnce), quotient(trees*size, nodesAtOnce))
		c.Visits += s.Rows * trees
		c.Counts += trees * each * min(nodes*int64(p.Bins), s.Rows)
		nodes = min(2*nodes, most)
	}
	return c
}

// quotient rounds up.
func quotient(a, b int64) int64 { return (a + b - 1) / b }
