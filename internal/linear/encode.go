package linear

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"damson/internal/packed"
)

// magic opens an encoded model; its last character is the format's version.
//
//	model        magic, uvarint classes, uvarint features, feature …, output …
//	feature      text name, then a number: 0, float mean, scale, low, high
//	                        or a category: 1, uvarint levels, text level …
//	output       float intercept, then for each feature: float missing, and a number's float value or a category's floats
//	text         uvarint bytes, bytes
//	float        8 bytes, IEEE 754, little endian
//
// There is one output for 0 (regression) and 2 classes, and one a class for more.
const magic = "damson-linear-1\n"

// Encode writes the model, the same model always as the same bytes.
func (m *Model) Encode() []byte {
	out := binary.AppendUvarint([]byte(magic), uint64(m.classes))
	out = binary.AppendUvarint(out, uint64(len(m.features)))
	for _, f := range m.features {
		out = packed.AppendText(out, f.name)
		if !f.categorical {
			out = packed.AppendFloats(append(out, 0), f.mean, f.scale, f.low, f.high)
			continue
		}
		out = binary.AppendUvarint(append(out, 1), uint64(len(f.levels)))
		for _, name := range f.levels {
			out = packed.AppendText(out, name)
		}
	}
	for _, o := range m.outputs {
		out = packed.AppendFloats(out, o.intercept)
		for f := range m.features {
			out = packed.AppendFloats(out, o.missing[f])
			if m.features[f].categorical {
				out = packed.AppendFloats(out, o.levels[f]...)
			} else {
				out = packed.AppendFloats(out, o.value[f])
			}
		}
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
		return nil, errors.New("decode linear model: these bytes are not a linear model of this version of the format")
	}
	r := &reader{packed.Reader{Rest: rest}}
	classes, features := r.Uvarint(), r.Uvarint()
	if classes == 1 || classes > MaxClasses || features < 1 || features > MaxFeatures {
		return nil, fmt.Errorf("decode linear model: %d classes and %d features", classes, features)
	}
	m := &Model{classes: int(classes)}
	for f := range features {
		own, err := r.feature()
		if err != nil {
			return nil, fmt.Errorf("decode linear model: feature %d: %w", f, err)
		}
		m.features = append(m.features, own)
	}
	outputs := 1
	if classes > 2 {
		outputs = int(classes)
	}
	for k := range outputs {
		o, err := r.output(m.features)
		if err != nil {
			return nil, fmt.Errorf("decode linear model: output %d: %w", k, err)
		}
		m.outputs = append(m.outputs, o)
	}
	if len(r.Rest) > 0 {
		return nil, fmt.Errorf("decode linear model: %d bytes left over", len(r.Rest))
	}
	if err := m.checkSlopes(); err != nil {
		return nil, fmt.Errorf("decode linear model: %w", err)
	}
	// Numbers may be written in more bytes than they need; a hash must not depend on that.
	if !bytes.Equal(m.Encode(), data) {
		return nil, errors.New("decode linear model: not in canonical form")
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
	switch kind := r.Uvarint(); kind {
	case 0:
		f.mean, f.scale, f.low, f.high = r.Float(), r.Float(), r.Float(), r.Float()
		if !(f.scale >= 1e-150 && f.scale <= maxValue && f.low >= -maxValue && f.low <= f.high && f.high <= maxValue && math.Abs(f.mean) <= maxValue) {
			return f, fmt.Errorf("mean %v, deviation %v, values from %v to %v", f.mean, f.scale, f.low, f.high)
		}
		return f, nil
	case 1:
		f.categorical, f.scale = true, 1
		n := r.Uvarint()
		if n > uint64(len(r.Rest)) {
			return f, packed.ErrCutOff
		}
		seen := map[string]bool{}
		for range n {
			name, err := r.Text()
			if err != nil {
				return f, err
			}
			if seen[name] {
				return f, fmt.Errorf("level %q twice", name)
			}
			seen[name] = true
			f.levels = append(f.levels, name)
		}
		return f, nil
	default:
		return f, fmt.Errorf("kind %d", kind)
	}
}

func (r *reader) output(features []feature) (output, error) {
	var bad error
	coefficient := func() float64 {
		v := r.Float()
		if !(math.Abs(v) <= maxCoefficient) && bad == nil {
			bad = fmt.Errorf("a coefficient is %v", v)
		}
		return v
	}
	o := output{intercept: coefficient()}
	for _, f := range features {
		if bad != nil {
			break
		}
		value, missing := 0.0, coefficient()
		var levels []float64
		if f.categorical {
			levels = make([]float64, len(f.levels))
			for l := range levels {
				levels[l] = coefficient()
			}
		} else {
			value = coefficient()
		}
		o.value, o.missing, o.levels = append(o.value, value), append(o.missing, missing), append(o.levels, levels)
	}
	return o, bad
}

// maxCoefficient keeps scores finite: 10,000 terms of at most a billion deviations.
const maxCoefficient = 1e200

// checkSlopes refuses coefficients that leave the range of numbers once they are for a unit instead of a deviation.
func (m *Model) checkSlopes() error {
	for k := range m.outputs {
		for f := range m.features {
			own := &m.features[f]
			if slope := m.outputs[k].slope(m, f); !(math.Abs(slope) <= 1e300/max(1, math.Abs(own.mean))) {
				return fmt.Errorf("the coefficient of %q for one unit leaves the range of numbers: scale it, or the target", own.name)
			}
		}
	}
	return nil
}
