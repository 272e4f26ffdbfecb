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

	"damson/internal/tree"
)

// frame holds the rows to learn from, by column.
type frame struct {
	features []string
	columns  [][]float64 // NaN = missing
	target   []uint8
	keys     []tree.Key // of the ids
	weights  []float64  // nil = no weight column
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
	used  bool
	codes []int32
	names []string
	known map[string]int32
}

func (c *codes) add(text string) {
	code, ok := c.known[text]
	if !ok {
		if c.known == nil {
			c.known = map[string]int32{}
		}
		text = strings.Clone(text) // it may lie in the batch's memory, which the database takes back
		code = int32(len(c.names))
		c.known[text] = code
		c.names = append(c.names, text)
	}
	c.codes = append(c.codes, code)
}

// texts gives the values of some rows, nil when the column is not used.
func (c *codes) texts(rows []int32) []string {
	if !c.used {
		return nil
	}
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = c.names[c.codes[r]]
	}
	return out
}

// distinct counts the values in some rows.
func (c *codes) distinct(rows []int32) int {
	seen := make([]bool, len(c.names))
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
		return len(f.groups.names)
	}
	return len(f.target)
}

func (f *frame) classes(rows []int32) (counts [2]int) {
	for _, r := range rows {
		counts[f.target[r]]++
	}
	return counts
}

// bytesPerRow is about what a row takes in memory, with its share of the bins and of the ids' table.
func (f *frame) bytesPerRow() int64 { return int64(len(f.columns))*9 + 96 }

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
	b = append(b, f.target[i])
	for _, c := range f.columns {
		bits := math.Float64bits(c[i] + 0) // -0 equals 0
		if c[i] != c[i] {
			bits = math.Float64bits(math.NaN())
		}
		b = binary.LittleEndian.AppendUint64(b, bits)
	}
	if f.weights != nil {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f.weights[i]))
	}
	for _, c := range []*codes{&f.groups, &f.segments, &f.folds} {
		if c.used {
			b = append(append(b, c.names[c.codes[i]]...), 0)
		}
	}
	f.scratch = b
	sum := sha256.Sum256(b)
	for lane := range f.digest {
		f.digest[lane] += binary.LittleEndian.Uint64(sum[8*lane:])
	}
}

// fingerprint names the set of rows, whatever their order.
func (f *frame) fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "%d rows %q\n", len(f.target), f.features)
	for _, lane := range f.digest {
		fmt.Fprintf(h, "%016x", lane)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// shuffled gives the rows in the order of their keys: one that looks random and does not depend on how they came.
func (f *frame) shuffled(rows []int32) []int32 {
	out := slices.Clone(rows)
	slices.SortFunc(out, func(a, b int32) int {
		switch ka, kb := f.keys[a], f.keys[b]; {
		case ka.Less(kb):
			return -1
		case kb.Less(ka):
			return 1
		}
		return 0
	})
	return out
}
