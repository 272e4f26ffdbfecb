package tree

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"damson/internal/packed"
)

// magic opens an encoded model; its last character is the format's version.
//
//	model    magic, kind, classes, number of features, feature …, [weights | start], number of trees, tree …
//	kind     uvarint 1 = forest, 2 = boosted
//	classes  uvarint 0 = a number is predicted, else 2 …
//	feature  uvarint 0 = numbers, else number of categories; above 255 follow the 254 kept ones, each as the distance
//	         to the one before
//	weights  of a forest of classes: uvarint for each class
//	start    of a boosted model: 8 bytes (IEEE 754, little endian) for each score
//	tree     uvarint bytes of its nodes, node in preorder …
//	split    uvarint 1 + 2·feature + missingLeft; threshold, 8 bytes, or the set of bins from bin 1 on, a bit each, in
//	         as many bytes as the feature's bins need; gain, 4 bytes
//	leaf     uvarint 0; uvarint rows, in a forest of classes instead uvarint number of classes that occur, and uvarint
//	         class and uvarint rows of each; in all others the value, 8 bytes
const magic = "damson-trees-1\n"

// Encode writes the model, the same model always as the same bytes.
func (m *Model) Encode() []byte {
	out := append([]byte(magic), byte(m.kind))
	out = binary.AppendUvarint(out, uint64(m.classes))
	out = binary.AppendUvarint(out, uint64(len(m.features)))
	for _, f := range m.features {
		out = binary.AppendUvarint(out, uint64(f.categories))
		before := uint32(0)
		for _, k := range f.kept {
			out = binary.AppendUvarint(out, uint64(k-before))
			before = k
		}
	}
	for _, w := range m.weights {
		out = binary.AppendUvarint(out, w)
	}
	for _, s := range m.start {
		out = packed.AppendFloats(out, s)
	}
	out = binary.AppendUvarint(out, uint64(len(m.trees)))
	var nodes []byte
	for i := range m.trees {
		nodes = nodes[:0]
		for n := range m.trees[i].nodes {
			nodes = m.appendNode(nodes, &m.trees[i], n)
		}
		out = binary.AppendUvarint(out, uint64(len(nodes)))
		out = append(out, nodes...)
	}
	return out
}
func (m *Model) appendNode(out []byte, t *tree, i int) []byte {
	n := t.nodes[i]
	if n.kind == leafNode {
		l := t.leaves[n.next]
		out = append(out, 0)
		if !m.counted() {
			return packed.AppendFloats(binary.AppendUvarint(out, l.rows), n.value)
		}
		out = binary.AppendUvarint(out, uint64(l.to-l.from))
		for _, c := range t.counts[l.from:l.to] {
			out = binary.AppendUvarint(binary.AppendUvarint(out, uint64(c.class)), c.rows)
		}
		return out
	}
	code := 1 + 2*uint64(n.feature)
	if n.missingLeft {
		code++
	}
	out = binary.AppendUvarint(out, code)
	if n.kind == setNode {
		s := t.sets[int(n.value)]
		for b := range (m.features[n.feature].last() + 7) / 8 {
			bits := byte(0)
			for bit := range 8 {
				if bin := 1 + 8*b + bit; bin <= MaxBins && s.has(uint8(bin)) {
					bits |= 1 << bit
				}
			}
			out = append(out, bits)
		}
	} else {
		out = packed.AppendFloats(out, n.value)
	}
	return binary.LittleEndian.AppendUint32(out, math.Float32bits(t.gains[i]))
}

// Hash is the SHA-256 of the encoded model, in hexadecimal digits.
func (m *Model) Hash() string {
	return packed.Hash(m.Encode())
}

// Decode reads what Encode wrote. Any other bytes are an error, and cost no more memory than a small multiple of their
// length.
func Decode(data []byte) (*Model, error) {
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok {
		return nil, errors.New("decode model: these bytes are not a model of trees of this version of the format")
	}
	r := &packed.Reader{Rest: rest}
	m := &Model{}
	if err := m.decodeHeader(r); err != nil {
		return nil, fmt.Errorf("decode model: %w", err)
	}
	trees := r.Uvarint()
	if trees < 1 || trees > MaxTrees || trees%uint64(m.scores()) != 0 {
		return nil, fmt.Errorf("decode model: %d trees", trees)
	}
	for i := range trees {
		size := r.Uvarint()
		if size > uint64(len(r.Rest)) {
			return nil, fmt.Errorf("decode model: tree %d is cut off", i)
		}
		own := packed.Reader{Rest: r.Rest[:size]}
		r.Rest = r.Rest[size:]
		var t tree
		if err := m.decodeNode(&t, &own, 0); err != nil {
			return nil, fmt.Errorf("decode model: tree %d: %w", i, err)
		}
		if len(own.Rest) > 0 {
			return nil, fmt.Errorf("decode model: tree %d: %d bytes left over", i, len(own.Rest))
		}
		m.trees = append(m.trees, t)
	}
	// Numbers may be written in more bytes than they need; a hash must not depend on that.
	if !bytes.Equal(m.Encode(), data) {
		return nil, errors.New("decode model: not in canonical form")
	}
	return m, nil
}

func (m *Model) decodeHeader(r *packed.Reader) error {
	kind, classes, features := r.Uvarint(), r.Uvarint(), r.Uvarint()
	switch {
	case kind != uint64(Forest) && kind != uint64(Boosted):
		return fmt.Errorf("a model of kind %d", kind)
	case classes == 1 || classes > MaxClasses:
		return fmt.Errorf("%d classes", classes)
	case features < 1 || features > MaxFeatures || features > uint64(len(r.Rest)):
		return fmt.Errorf("%d features", features)
	}
	m.kind, m.classes, m.features = Kind(kind), int(classes), make([]feature, features)
	for i := range m.features {
		if err := m.features[i].decode(r); err != nil {
			return fmt.Errorf("feature %d: %w", i, err)
		}
	}
	if m.counted() {
		for range m.classes {
			w := r.Uvarint()
			if w < 1 || w > 1/(WeightUnit*WeightUnit) {
				return fmt.Errorf("a class weight of %d", w)
			}
			m.weights = append(m.weights, w)
		}
	}
	if m.kind == Boosted {
		for range m.scores() {
			m.start = append(m.start, r.Float())
		}
		if !slices.ContainsFunc(m.start, unfit) {
			return nil
		}
		return errors.New("a start that is no number")
	}
	return nil
}

// unfit reports that a value is no number, or so large that sums of it might be none.
func unfit(v float64) bool { return !(math.Abs(v) <= 1e200) }

func (f *feature) decode(r *packed.Reader) error {
	categories := r.Uvarint()
	if categories > MaxCategories {
		return fmt.Errorf("%d categories", categories)
	}
	f.categories = int(categories)
	if categories <= MaxBins {
		return nil
	}
	kept := uint64(0)
	for i := range pooledBin - 1 {
		step := r.Uvarint()
		if i > 0 && step == 0 || step >= categories-kept {
			return errors.New("categories out of order")
		}
		kept += step
		f.kept = append(f.kept, uint32(kept))
	}
	return nil
}

// decodeNode reads one node and what stands under it.
func (m *Model) decodeNode(t *tree, r *packed.Reader, depth int) error {
	if len(r.Rest) == 0 {
		return packed.ErrCutOff
	}
	code := r.Uvarint()
	if code == 0 {
		return m.decodeLeaf(t, r)
	}
	f := (code - 1) / 2
	switch {
	case depth == MaxDepth:
		return fmt.Errorf("deeper than %d", MaxDepth)
	case f >= uint64(len(m.features)):
		return fmt.Errorf("feature %d of %d", f, len(m.features))
	}
	n := node{feature: uint16(f), missingLeft: code&1 == 0}
	if last := m.features[f].last(); m.features[f].categories > 0 {
		bits := r.Take((last + 7) / 8)
		if bits == nil {
			return packed.ErrCutOff
		}
		n.kind, n.value = setNode, float64(len(t.sets))
		t.sets = append(t.sets, decodeSet(bits, last, n.missingLeft))
	} else if n.value = r.Float(); math.IsNaN(n.value) || math.IsInf(n.value, -1) {
		return fmt.Errorf("threshold %v", n.value)
	}
	gain := float64(r.Float32())
	if !(gain >= 0) || math.IsInf(gain, 1) {
		return fmt.Errorf("gain %v", gain)
	}
	at := len(t.nodes)
	t.nodes, t.gains = append(t.nodes, n), append(t.gains, float32(gain))
	if err := m.decodeNode(t, r, depth+1); err != nil {
		return err
	}
	t.nodes[at].next = int32(len(t.nodes))
	return m.decodeNode(t, r, depth+1)
}

func decodeSet(bits []byte, last int, missingLeft bool) (s set) {
	if missingLeft {
		s.add(0)
	}
	for bin := 1; bin <= last; bin++ {
		if bits[(bin-1)/8]>>((bin-1)%8)&1 == 1 {
			s.add(uint8(bin))
		}
	}
	return s
}

func (m *Model) decodeLeaf(t *tree, r *packed.Reader) error {
	if !m.counted() {
		rows, value := r.Uvarint(), r.Float()
		if rows < 1 || rows >= 1<<62 || unfit(value) {
			return fmt.Errorf("a leaf of %d rows with the value %v", rows, value)
		}
		m.emitLeaf(t, rows, nil, value)
		return nil
	}
	occur := r.Uvarint()
	if occur < 1 || occur > uint64(m.classes) {
		return fmt.Errorf("a leaf of %d classes", occur)
	}
	counts := make([]uint64, m.classes)
	total := uint64(0)
	for range occur {
		class, rows := r.Uvarint(), r.Uvarint()
		if class >= uint64(m.classes) || rows < 1 || rows > math.MaxUint32 || counts[class] > 0 {
			return fmt.Errorf("a leaf with %d rows of class %d", rows, class)
		}
		counts[class] = rows
		total += rows
	}
	m.emitLeaf(t, total, counts, 0)
	return nil
}
