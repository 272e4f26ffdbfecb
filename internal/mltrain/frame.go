package mltrain

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"

	"damson/internal/learn"
	"damson/internal/mltrain/cells"
	"damson/internal/tree"
)

// frame holds the rows to learn from, by column.
type frame struct {
	features []learn.Feature
	columns  [][]float64 // by feature: numbers, or the places of texts among the levels; NaN = missing
	texts    []*codes    // by feature: what texts there are, while reading; nil = a number
	target   []float64   // the class, from 0, or the number; while reading, what stands in the column
	labels   codes       // the target, when it is a text
	keys     []tree.Key  // of the ids
	weights  []float64   // nil = no weight column
	times    []float64   // of the split, Unix seconds; nil = no such column
	segments codes
	groups   codes // of the split
	folds    codes // of the cross-validation
	skipped  int64 // rows without target

	ids       map[[md5.Size]byte]struct{} // only while reading
	twice     int64                       // rows whose id was seen before
	firstTwin string                      // the first such id in the order of text
	digest    [4]uint64                   // sum of the rows' hashes, see addDigest
	scratch   []byte
}

// codes is a text column whose values are numbered.
type codes struct {
	cells.Texts
	used  bool
	codes []int32
}

func (c *codes) add(text string) { c.codes = append(c.codes, c.Code(text)) }

// sorted gives the texts in their order, and the place there of each code.
func (c *codes) sorted() (names []string, place []float64) {
	names = slices.Sorted(slices.Values(c.Names))
	place = make([]float64, len(names))
	for i, name := range names {
		place[c.Code(name)] = float64(i)
	}
	return names, place
}

// texts gives the values of some rows, nil when the column is not used.
func (c *codes) texts(rows []int32) []string {
	if !c.used {
		return nil
	}
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = c.Names[c.codes[r]]
	}
	return out
}

// distinct counts the values in some rows.
func (c *codes) distinct(rows []int32) int {
	seen := make([]bool, len(c.Names))
	n := 0
	for _, r := range rows {
		if code := c.codes[r]; !seen[code] {
			seen[code] = true
			n++
		}
	}
	return n
}

func (f *frame) groupCount() int {
	if f.groups.used {
		return len(f.groups.Names)
	}
	return len(f.target)
}

// classes counts rows by class.
func (f *frame) classes(rows []int32, classes int) []int64 {
	counts := make([]int64, classes)
	for _, r := range rows {
		counts[int(f.target[r])]++
	}
	return counts
}

// all lists all rows.
func (f *frame) all() []int32 {
	rows := make([]int32, len(f.target))
	for i := range rows {
		rows[i] = int32(i)
	}
	return rows
}

// addID notes a row's id.
func (f *frame) addID(text string) [md5.Size]byte {
	sum := md5.Sum([]byte(text))
	if _, twin := f.ids[sum]; twin {
		if f.twice == 0 || text < f.firstTwin {
			f.firstTwin = strings.Clone(text)
		}
		f.twice++
	}
	f.ids[sum] = struct{}{}
	f.keys = append(f.keys, tree.KeyOfMD5(sum))
	return sum
}

// addDigest adds the hash of row i to the digest. Addition does not know the order of the rows (a multiset hash:
// D. Clarke and others 2003, MSet-Add-Hash).
func (f *frame) addDigest(i int, id [md5.Size]byte) {
	b := append(f.scratch[:0], id[:]...)
	switch y := f.target[i]; {
	case f.labels.used && y == y:
		b = append(append(b, f.labels.Names[int(y)]...), 0)
	case y == 0 || y == 1:
		b = append(b, uint8(y))
	default:
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(y))
	}
	for at, c := range f.columns {
		if f.texts[at] != nil && c[i] == c[i] {
			b = append(append(b, f.texts[at].Names[int(c[i])]...), 0)
			continue
		}
		bits := math.Float64bits(c[i] + 0) // -0 equals 0
		if c[i] != c[i] {
			bits = math.Float64bits(math.NaN())
		}
		b = binary.LittleEndian.AppendUint64(b, bits)
	}
	if f.weights != nil {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f.weights[i]))
	}
	if f.times != nil {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f.times[i]))
	}
	for _, c := range []*codes{&f.groups, &f.segments, &f.folds} {
		if c.used {
			b = append(append(b, c.Names[c.codes[i]]...), 0)
		}
	}
	f.scratch = b
	sum := sha256.Sum256(b)
	for lane := range f.digest {
		f.digest[lane] += binary.LittleEndian.Uint64(sum[8*lane:])
	}
}

// sortLevels brings the texts of features into an order that does not depend on how rows came.
func (f *frame) sortLevels() {
	for at, texts := range f.texts {
		if texts == nil {
			continue
		}
		levels, place := texts.sorted()
		f.features[at].Levels = append([]string{}, levels...)
		for i, code := range f.columns[at] {
			if code == code {
				f.columns[at][i] = place[int(code)]
			}
		}
	}
	f.texts = nil
}

// names lists the features.
func (f *frame) names() []string {
	names := make([]string, len(f.features))
	for i, own := range f.features {
		names[i] = own.Name
	}
	return names
}

// fingerprint names the set of rows, whatever their order.
func (f *frame) fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "%d rows %q\n", len(f.target), f.names())
	for _, lane := range f.digest {
		fmt.Fprintf(h, "%016x", lane)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// arrange brings the rows into the order of their keys, which looks random and does not depend on how they came: sums of
// floating-point numbers depend on the order. Texts are numbered in their order for the same reason.
func (f *frame) arrange() {
	order := f.all()
	slices.SortStableFunc(order, func(a, b int32) int {
		switch ka, kb := f.keys[a], f.keys[b]; {
		case ka.Less(kb):
			return -1
		case kb.Less(ka):
			return 1
		}
		return 0
	})
	f.target, f.keys, f.weights, f.times = inOrder(f.target, order), inOrder(f.keys, order), inOrder(f.weights, order), inOrder(f.times, order)
	for c := range f.columns {
		f.columns[c] = inOrder(f.columns[c], order)
	}
	for _, c := range []*codes{&f.groups, &f.segments, &f.folds} {
		if !c.used {
			continue
		}
		names, place := c.sorted()
		for i, code := range c.codes {
			c.codes[i] = int32(place[code])
		}
		c.Texts, c.codes = cells.Texts{Names: names}, inOrder(c.codes, order)
	}
}

// inOrder gives values in the order of rows, nil of nil.
func inOrder[T any](values []T, order []int32) []T {
	if values == nil {
		return nil
	}
	out := make([]T, len(order))
	for i, r := range order {
		out[i] = values[r]
	}
	return out
}
