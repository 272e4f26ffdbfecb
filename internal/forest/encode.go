package forest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
)

// magic opens an encoded forest; its last character is the format's version.
//
//	forest  magic, uvarint features, uvarint trees, tree …
//	tree    uvarint bytes of its nodes, node in preorder …
//	split   uvarint 2 + 2·feature + missingLeft, 8 bytes threshold (IEEE 754, little endian)
//	leaf    uvarint 0 | 1, and: 0: uvarint rows, uvarint positives
//	                            1: uvarint rows, all of them of one class: positives = rows
const magic = "damson-forest-1\n"

// Encode writes the forest, the same forest always as the same bytes.
func (f *Forest) Encode() []byte {
	out := binary.AppendUvarint([]byte(magic), uint64(f.features))
	out = binary.AppendUvarint(out, uint64(len(f.trees)))
	var nodes []byte
	for _, t := range f.trees {
		nodes = nodes[:0]
		for _, n := range t.nodes {
			nodes = t.appendNode(nodes, n)
		}
		out = binary.AppendUvarint(out, uint64(len(nodes)))
		out = append(out, nodes...)
	}
	return out
}

func (t tree) appendNode(out []byte, n node) []byte {
	if n.kind == leafNode {
		l := t.leaves[n.next]
		if l.rows == l.positives {
			return binary.AppendUvarint(append(out, 1), uint64(l.rows))
		}
		return binary.AppendUvarint(binary.AppendUvarint(append(out, 0), uint64(l.rows)), uint64(l.positives))
	}
	code := 2 + 2*uint64(n.feature)
	if n.missingLeft {
		code++
	}
	out = binary.AppendUvarint(out, code)
	return binary.LittleEndian.AppendUint64(out, math.Float64bits(n.value))
}

// Hash is the SHA-256 of the encoded forest, in hexadecimal digits.
func (f *Forest) Hash() string {
	sum := sha256.Sum256(f.Encode())
	return hex.EncodeToString(sum[:])
}

// Decode reads what Encode wrote. Any other bytes are an error, and cost no more memory than a small multiple of their
// length.
func Decode(data []byte) (*Forest, error) {
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok {
		return nil, errors.New("decode forest: these bytes are not a forest of this version of the format")
	}
	r := reader{rest}
	features, trees := r.uvarint(), r.uvarint()
	if features < 1 || features > MaxFeatures || trees < 1 || trees > MaxTrees {
		return nil, fmt.Errorf("decode forest: %d features and %d trees", features, trees)
	}
	f := &Forest{features: int(features)}
	for i := range trees {
		size := r.uvarint()
		if size > uint64(len(r.rest)) {
			return nil, fmt.Errorf("decode forest: tree %d is cut off", i)
		}
		own := reader{r.rest[:size]}
		r.rest = r.rest[size:]
		var t tree
		if err := t.decode(&own, int(features), 0); err != nil {
			return nil, fmt.Errorf("decode forest: tree %d: %w", i, err)
		}
		if len(own.rest) > 0 {
			return nil, fmt.Errorf("decode forest: tree %d: %d bytes left over", i, len(own.rest))
		}
		f.trees = append(f.trees, t)
	}
	// Numbers may be written in more bytes than they need; a hash must not depend on that.
	if !bytes.Equal(f.Encode(), data) {
		return nil, errors.New("decode forest: not in canonical form")
	}
	return f, nil
}

// decode reads one node and what stands under it.
func (t *tree) decode(r *reader, features, depth int) error {
	if len(r.rest) == 0 {
		return errors.New("cut off")
	}
	switch code := r.uvarint(); {
	case code <= 1:
		rows := r.uvarint()
		positives := rows
		if code == 0 {
			positives = r.uvarint()
		}
		if rows < 1 || rows > math.MaxUint32 || positives > rows {
			return fmt.Errorf("a leaf of %d rows with %d positives", rows, positives)
		}
		l := leaf{uint32(rows), uint32(positives)}
		t.nodes = append(t.nodes, node{value: l.share(), kind: leafNode, next: int32(len(t.leaves))})
		t.leaves = append(t.leaves, l)
		return nil
	case depth == MaxDepth:
		return fmt.Errorf("deeper than %d", MaxDepth)
	case (code-2)/2 >= uint64(features):
		return fmt.Errorf("feature %d of %d", (code-2)/2, features)
	default:
		n := node{feature: uint16((code - 2) / 2), missingLeft: code&1 == 1, value: r.float()}
		if math.IsNaN(n.value) || math.IsInf(n.value, -1) {
			return fmt.Errorf("threshold %v", n.value)
		}
		at := len(t.nodes)
		t.nodes = append(t.nodes, n)
		if err := t.decode(r, features, depth+1); err != nil {
			return err
		}
		t.nodes[at].next = int32(len(t.nodes))
		return t.decode(r, features, depth+1)
	}
}

// reader takes numbers from the front of rest. What is not there reads as a number that every caller refuses.
type reader struct{ rest []byte }

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.rest = nil
		return math.MaxUint64
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) float() float64 {
	if len(r.rest) < 8 {
		r.rest = nil
		return math.NaN()
	}
	v := math.Float64frombits(binary.LittleEndian.Uint64(r.rest))
	r.rest = r.rest[8:]
	return v
}
