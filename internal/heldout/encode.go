package heldout

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"damson/internal/metric"
)

// format begins every encoding.
//
//	format │ deflated: length of head (uvarint) │ head (JSON) │ keys │ groups │ targets │ outputs
//
// Keys are differences (uvarint). Groups are their number (uvarint), the hashes (8 bytes each), and each row's place among them
// (uvarint). Targets of classes are uvarints. Numbers, and every output, are columns of doubles, whose first bytes come
// first, then their second ones, and so on: neighbouring numbers begin alike.
const format = "DAMSONH1"

// head says what follows.
type head struct {
	Kind    metric.Kind `json:"kind"`
	Classes []string    `json:"classes,omitempty"`
	All     int64       `json:"all"`
	Rows    int         `json:"rows"`
	Outputs int         `json:"outputs"`
	Grouped bool        `json:"grouped,omitzero"`
}

// Encode writes the rows, of which there are at most Most; no rows are nil.
func (r Rows) Encode() []byte {
	if len(r.Keys) == 0 {
		return nil
	}
	text, err := json.Marshal(head{r.Kind, r.Classes, r.All, len(r.Keys), len(r.Outputs), r.Groups != nil})
	if err != nil {
		panic(fmt.Sprintf("heldout: a head that has no JSON: %v", err)) // it is plain data
	}
	b := append(binary.AppendUvarint(nil, uint64(len(text))), text...)
	last := uint64(0)
	for _, k := range r.Keys {
		b = binary.AppendUvarint(b, k-last)
		last = k
	}
	if r.Groups != nil {
		b = appendGroups(b, r.Groups)
	}
	if len(r.Classes) > 0 {
		for _, y := range r.Targets {
			b = binary.AppendUvarint(b, uint64(y))
		}
	} else {
		b = appendDoubles(b, r.Targets)
	}
	for _, own := range r.Outputs {
		b = appendDoubles(b, own)
	}
	return deflated(b)
}

func deflated(b []byte) []byte {
	out := bytes.NewBufferString(format)
	w, err := flate.NewWriter(out, flate.BestCompression)
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(fmt.Sprintf("heldout: a buffer that can not be written: %v", err))
	}
	return out.Bytes()
}

func appendGroups(b []byte, groups []uint64) []byte {
	all := slices.Compact(slices.Sorted(slices.Values(groups)))
	b = binary.AppendUvarint(b, uint64(len(all)))
	for _, g := range all {
		b = binary.LittleEndian.AppendUint64(b, g)
	}
	for _, g := range groups {
		place, _ := slices.BinarySearch(all, g)
		b = binary.AppendUvarint(b, uint64(place))
	}
	return b
}

func appendDoubles(b []byte, values []float64) []byte {
	for shift := 56; shift >= 0; shift -= 8 {
		for _, v := range values {
			b = append(b, byte(math.Float64bits(v)>>shift))
		}
	}
	return b
}

// mostBytes is more than any encoding has.
const mostBytes = 1 << 23

var errTorn = errors.New("predictions of held-out rows: the encoding is torn")

// Decode reads what Encode has written.
func Decode(b []byte) (Rows, error) {
	packed, ok := bytes.CutPrefix(b, []byte(format))
	if !ok {
		return Rows{}, errors.New("predictions of held-out rows: an encoding that this Damson does not know")
	}
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), mostBytes))
	if err != nil {
		return Rows{}, fmt.Errorf("predictions of held-out rows: %w", err)
	}
	d := &decoder{rest: plain}
	var h head
	if err := json.Unmarshal(d.take(d.uvarint()), &h); err != nil {
		return Rows{}, errTorn
	}
	if !h.sound() {
		return Rows{}, errTorn
	}
	r := Rows{Kind: h.Kind, Classes: h.Classes, All: h.All, Keys: d.keys(h.Rows)}
	if h.Grouped {
		r.Groups = d.groups(h.Rows)
	}
	if len(h.Classes) > 0 {
		r.Targets = d.places(h.Rows, len(h.Classes))
	} else {
		r.Targets = d.doubles(h.Rows)
	}
	for range h.Outputs {
		r.Outputs = append(r.Outputs, d.doubles(h.Rows))
	}
	if d.torn || len(d.rest) > 0 {
		return Rows{}, errTorn
	}
	return r, nil
}

// sound reports whether the head's parts belong together.
func (h head) sound() bool {
	outputs, classes := 1, 0
	switch h.Kind {
	case metric.Binary:
		classes = 2
	case metric.Multiclass:
		outputs, classes = len(h.Classes), max(len(h.Classes), 3)
	case metric.Regression:
	default:
		return false
	}
	return h.Outputs == outputs && len(h.Classes) == classes && h.Rows > 0 && h.Rows <= Most(outputs) && h.All >= int64(h.Rows)
}

// decoder takes an encoding apart. After the first mistake it gives nothing.
type decoder struct {
	rest []byte
	torn bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.torn, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.torn, d.rest = true, nil
		return nil
	}
	out := d.rest[:n]
	d.rest = d.rest[n:]
	return out
}

func (d *decoder) keys(n int) []uint64 {
	keys := make([]uint64, n)
	last := uint64(0)
	for i := range keys {
		step := d.uvarint()
		if i > 0 && (step == 0 || last+step < last) {
			d.torn = true
		}
		last += step
		keys[i] = last
	}
	return keys
}

func (d *decoder) groups(n int) []uint64 {
	text := d.take(8 * min(d.uvarint(), mostBytes))
	all := make([]uint64, len(text)/8)
	for i := range all {
		all[i] = binary.LittleEndian.Uint64(text[8*i:])
	}
	groups := make([]uint64, n)
	for i, place := range d.places(n, len(all)) {
		if !d.torn {
			groups[i] = all[int(place)]
		}
	}
	return groups
}

// places reads numbers below a bound.
func (d *decoder) places(n, below int) []float64 {
	out := make([]float64, n)
	for i := range out {
		v := d.uvarint()
		if v >= uint64(below) {
			d.torn = true
			return out
		}
		out[i] = float64(v)
	}
	return out
}

func (d *decoder) doubles(n int) []float64 {
	text := d.take(uint64(8 * n))
	out := make([]float64, n)
	if text == nil {
		return out
	}
	for i := range out {
		var bits uint64
		for k := range 8 {
			bits = bits<<8 | uint64(text[k*n+i])
		}
		out[i] = math.Float64frombits(bits)
	}
	return out
}
