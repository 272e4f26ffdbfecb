package leak

import (
	"context"
	"math"
	"slices"
	"strconv"

	"damson/internal/parallel"
)

// Examples is how many groups a Straddle names.
const Examples = 3

// straddling finds the groups with rows on both sides.
func (d *Data) straddling(of Grouping) Straddle {
	most := int32(-1)
	for _, g := range of.Codes {
		most = max(most, g)
	}
	trained, held := make([]int64, most+1), make([]int64, most+1)
	for i, g := range of.Codes {
		if d.Held[i] {
			held[g]++
		} else {
			trained[g]++
		}
	}
	out := Straddle{Column: of.Column}
	for g, n := range held {
		out.Of += n
		if n > 0 && trained[g] > 0 {
			out.Groups++
			out.Rows += n
			out.Examples = append(out.Examples, nameOf(of.Names, g))
		}
	}
	slices.Sort(out.Examples)
	out.Examples = out.Examples[:min(len(out.Examples), Examples)]
	return out
}

func nameOf(names []string, code int) string {
	if code < len(names) {
		return names[code]
	}
	return strconv.Itoa(code)
}

// times finds training rows that are later than the first held-out one.
func (d *Data) times() Overlap {
	out := Overlap{From: math.Inf(1), To: math.Inf(-1)}
	for i, t := range d.Times {
		switch {
		case d.Held[i] && t < out.From:
			out.From = t
		case !d.Held[i] && t > out.To:
			out.To = t
		}
	}
	for i, t := range d.Times {
		if !d.Held[i] {
			out.Of++
			if t > out.From {
				out.Rows++
			}
		}
	}
	return out
}

// mix is the last step of the splitmix64 generator (G. Steele, D. Lea, C. Flood 2014).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// bitsOf makes one number of all that count as equal: all NaNs, and both zeros.
func bitsOf(v float64) uint64 {
	if v != v {
		return math.Float64bits(math.NaN())
	}
	return math.Float64bits(v + 0)
}

// rowHashes gives 64 bits of each row's features and target. Two of a million rows that differ have the same ones with a
// probability of 3·10⁻⁸.
func (d *Data) rowHashes(ctx context.Context, threads int) ([]uint64, error) {
	const stripe = 1 << 13 // rows, whose hashes stay in the cache while the columns pass
	out := make([]uint64, len(d.Target))
	err := parallel.Each(ctx, (len(out)+stripe-1)/stripe, threads, func(s int) {
		lo, hi := s*stripe, min((s+1)*stripe, len(out))
		own := out[lo:hi]
		for i, y := range d.Target[lo:hi] {
			own[i] = mix(bitsOf(y) + 1)
		}
		for c := range d.Columns {
			column := &d.Columns[c]
			if column.Codes != nil {
				for i, code := range column.Codes[lo:hi] {
					own[i] = mix(own[i]*3 + uint64(uint32(code)))
				}
				continue
			}
			for i, v := range column.Numbers[lo:hi] {
				own[i] = mix(own[i]*3 + bitsOf(v))
			}
		}
	})
	return out, err
}

// repeats finds held-out rows that are training rows, too.
func (d *Data) repeats(hashes []uint64) Repeats {
	out := Repeats{All: int64(len(hashes))}
	var trained []uint64
	for i, held := range d.Held {
		if !held {
			trained = append(trained, hashes[i])
		}
	}
	seen := newSet(trained)
	out.Distinct = int64(seen.n)
	for i, held := range d.Held {
		if !held {
			continue
		}
		out.Of++
		if seen.has(hashes[i]) {
			out.Rows++
		} else {
			out.Distinct++
		}
	}
	return out
}

// set holds hashes in a table of twice their number; 0 marks what is empty, and stands beside.
type set struct {
	slots []uint64
	mask  uint64
	zero  bool
	n     int
}

func newSet(values []uint64) *set {
	size := 16
	for size < 2*len(values) {
		size *= 2
	}
	s := &set{slots: make([]uint64, size), mask: uint64(size - 1)}
	for _, v := range values {
		s.add(v)
	}
	return s
}

// slot gives the place of a value, or the free one where it would stand.
func (s *set) slot(v uint64) uint64 {
	at := v & s.mask
	for s.slots[at] != 0 && s.slots[at] != v {
		at = (at + 1) & s.mask
	}
	return at
}

func (s *set) add(v uint64) {
	if v == 0 {
		if !s.zero {
			s.n++
		}
		s.zero = true
		return
	}
	if at := s.slot(v); s.slots[at] == 0 {
		s.slots[at] = v
		s.n++
	}
}

func (s *set) has(v uint64) bool {
	if v == 0 {
		return s.zero
	}
	return s.slots[s.slot(v)] == v
}
