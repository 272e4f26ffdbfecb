package cluster

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
//	model        magic, standardise (0 or 1), uvarint features, uvarint clusters, feature …, cluster …
//	feature      text name, float mean, deviation, low, high
//	cluster      uvarint rows, float coordinate … by feature
//	text         uvarint bytes, bytes
//	float        8 bytes, IEEE 754, little endian
const magic = "damson-cluster-1\n"

// Encode writes the model, the same model always as the same bytes.
func (m *Model) Encode() []byte {
	out := append([]byte(magic), 0)
	if m.standardise {
		out[len(magic)] = 1
	}
	out = binary.AppendUvarint(out, uint64(len(m.features)))
	out = binary.AppendUvarint(out, uint64(len(m.clusters)))
	for _, f := range m.features {
		out = packed.AppendText(out, f.name)
		out = packed.AppendFloats(out, f.mean, f.deviation, f.low, f.high)
	}
	for _, c := range m.clusters {
		out = binary.AppendUvarint(out, uint64(c.Rows))
		out = packed.AppendFloats(out, c.Centre...)
	}
	return out
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
		return nil, errors.New("decode clusters: these bytes are not clusters of this version of the format")
	}
	r := &reader{packed.Reader{Rest: rest}}
	m := &Model{standardise: r.Uvarint() == 1}
	features, clusters := r.Uvarint(), r.Uvarint()
	if features < 1 || features > MaxFeatures || clusters < 2 || clusters > MaxClusters {
		return nil, fmt.Errorf("decode clusters: %d features and %d clusters", features, clusters)
	}
	for f := range features {
		own, err := r.feature()
		if err != nil {
			return nil, fmt.Errorf("decode clusters: feature %d: %w", f, err)
		}
		m.setDivisor(&own)
		m.features = append(m.features, own)
	}
	if len(m.used()) == 0 {
		return nil, errors.New("decode clusters: no feature plays a part")
	}
	for c := range clusters {
		own, err := r.cluster(m)
		if err != nil {
			return nil, fmt.Errorf("decode clusters: cluster %d: %w", c, err)
		}
		m.clusters = append(m.clusters, own)
	}
	// Numbers may be written in more bytes than they need; a hash must not depend on that.
	if len(r.Rest) > 0 || !slices.IsSortedFunc(m.clusters, inOrder) || !bytes.Equal(m.Encode(), data) {
		return nil, errors.New("decode clusters: not in canonical form")
	}
	return m, nil
}

// reader takes the parts of a model.
type reader struct{ packed.Reader }

func (r *reader) feature() (feature, error) {
	var f feature
	var err error
	if f.name, err = r.Text(); err != nil {
		return f, err
	}
	f.mean, f.deviation, f.low, f.high = r.Float(), r.Float(), r.Float(), r.Float()
	varies := f.deviation >= leastDeviation && f.deviation <= 2*maxValue
	if !(varies || f.deviation == 0) || !(math.Abs(f.mean) <= maxValue && f.low >= -maxValue && f.low <= f.high && f.high <= maxValue) {
		return f, fmt.Errorf("mean %v, deviation %v, values from %v to %v", f.mean, f.deviation, f.low, f.high)
	}
	return f, nil
}

func (r *reader) cluster(m *Model) (Cluster, error) {
	c := Cluster{Centre: make([]float64, len(m.features))}
	rows := r.Uvarint()
	if rows > MaxRows {
		return c, fmt.Errorf("%d rows", rows)
	}
	c.Rows = int64(rows)
	for f := range c.Centre {
		own, v := &m.features[f], r.Float()
		size := math.Abs(v)
		if v != 0 && !(own.deviation > 0 && size >= own.near()/own.divisor && size <= own.far()/own.divisor) {
			return c, fmt.Errorf("coordinate %d is %v", f, v)
		}
		c.Centre[f] = v
	}
	return c, nil
}
