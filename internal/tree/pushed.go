package tree

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"damson/internal/sqltext"
)

// What a database computes when it trains without giving its rows away: the same draws, bins and splits as in Go, in SQL that DuckDB,
// PostgreSQL and the Greenplum family read alike.

// SQL writes the number that the draw gives a key, whose two numbers are the given expressions of type bigint.
func (d Draw) SQL(hi, lo string) string {
	return fmt.Sprintf("(%s * bigint '%d' + %s * bigint '%d' + bigint '%d') %% bigint '%d'", hi, d.a, lo, d.c, d.b, int64(modulus))
}

// BelowSQL writes Below.
func (d Draw) BelowSQL(hi, lo string, share float64) string {
	return fmt.Sprintf("%s < bigint '%d'", d.SQL(hi, lo), int64(math.Ceil(float64(share*modulus))))
}

// PoissonSQL writes Poisson over the draw's number, and the condition that it is not 0.
func PoissonSQL(number string) (times, some string) {
	var b strings.Builder
	b.WriteString("case")
	for n, bound := range poissonBounds[1:] {
		fmt.Fprintf(&b, " when %s < %d then %d", number, bound, n+1)
	}
	fmt.Fprintf(&b, " else %d end", MostDraws)
	return b.String(), fmt.Sprintf("%s >= %d", number, poissonBounds[0])
}

// BinColumn is a column for AssembleBins: either the edges of a column of numbers, or how often each category occurs.
type BinColumn struct {
	Edges  []float64
	Counts []int64 // nil = numbers
}

// AssembleBins makes the bins that Cut makes of the columns' rows.
func AssembleBins(columns []BinColumn) *Bins {
	b := &Bins{features: make([]feature, len(columns)), edges: make([][]float64, len(columns))}
	for f, c := range columns {
		if c.Counts == nil {
			b.edges[f] = c.Edges
			continue
		}
		b.features[f] = feature{categories: len(c.Counts), kept: keep(c.Counts)}
	}
	return b
}

// Of gives a category's bin in a column of categories.
func (b *Bins) Of(f, category int) uint8 { return b.features[f].bin(float64(category)) }

// SQL writes the bin of a column of numbers, an expression of type double precision in which a missing value is NULL.
func (b *Bins) SQL(f int, column string) string { return BinSQL(column, b.edges[f]) }

// BinSQL writes the bin of such a column among those parted by rising edges: 0 of what is missing, 1 up to the first edge, and so on.
func BinSQL(column string, edges []float64) string {
	var w strings.Builder
	w.WriteString("case when " + column + " is null then 0 else ")
	writeBin(&w, column, edges, 1)
	w.WriteString(" end")
	return w.String()
}

// BucketSQL writes the same by a function of PostgreSQL 9.5 and later, which counts the thresholds that are not above a value: of the
// edges, negated, those that are not below it.
func (b *Bins) BucketSQL(f int, column string) string {
	edges := b.edges[f]
	if len(edges) == 0 {
		return b.SQL(f, column)
	}
	thresholds := make([]string, len(edges))
	for i, edge := range edges {
		thresholds[len(edges)-1-i] = strconv.FormatFloat(-edge, 'g', -1, 64)
	}
	return fmt.Sprintf("case when %s is null then 0 else %d - width_bucket(-%s, cast('{%s}' as double precision[])) end", column, len(edges)+1, column, strings.Join(thresholds, ","))
}

// writeBin searches for a value's bin among those parted by edges, of which the first is at.
func writeBin(w *strings.Builder, column string, edges []float64, at int) {
	if len(edges) == 0 {
		fmt.Fprint(w, at)
		return
	}
	half := len(edges) / 2
	w.WriteString("case when " + column + " <= " + sqltext.Double(edges[half]) + " then ")
	writeBin(w, column, edges[:half], at)
	w.WriteString(" else ")
	writeBin(w, column, edges[half+1:], at+half+1)
	w.WriteString(" end")
}

// SQL writes the condition to go left over an integer, the bin of the split's feature, which is complete when no row lacks it.
func (s *Split) SQL(bin string, complete bool) string {
	if s.Categories == nil {
		if s.MissingLeft || complete {
			return fmt.Sprintf("%s <= %d", bin, s.Bin)
		}
		return fmt.Sprintf("%s between 1 and %d", bin, s.Bin)
	}
	var set set
	for b, left := range s.Left() {
		if left == 1 {
			set.add(uint8(b))
		}
	}
	var w strings.Builder
	w.WriteString("(case")
	for i := range (MaxBins + wordBits) / wordBits {
		word := uint64(0)
		for b := range wordBits {
			if bin := i*wordBits + b; bin <= MaxBins && set.has(uint8(bin)) {
				word |= 1 << b
			}
		}
		fmt.Fprintf(&w, " when %s < %d then (bigint '%d' >> (%s - %d)) & 1", bin, (i+1)*wordBits, word, bin, i*wordBits)
	}
	w.WriteString(" end) = 1")
	return w.String()
}

// Parts cuts a forest into parts whose SQL is not too large, and which add up to it as Predict does: each gives the sum of some
// trees. The sums of the parts of one slice are to be added up, then those of the slices, then the whole divided by the number of
// trees. One part of a small forest gives its mean.
func (m *Model) Parts() [][]*Model {
	if m.SQLNodes() <= MaxSQLNodes {
		return [][]*Model{{m}}
	}
	var parts [][]*Model
	for from := 0; from < len(m.trees); from += sumChunk {
		to := min(from+sumChunk, len(m.trees))
		if whole := m.part(from, to); whole.SQLNodes() <= MaxSQLNodes {
			parts = append(parts, []*Model{whole})
			continue
		}
		var each []*Model
		for i := from; i < to; i++ {
			each = append(each, m.part(i, i+1))
		}
		parts = append(parts, each)
	}
	return parts
}

func (m *Model) part(from, to int) *Model {
	part := *m
	part.trees, part.summed = m.trees[from:to], true
	return &part
}
