// Package packed is the bytes that models are kept as: whole numbers with as many bytes as they need, floats as IEEE 754 has them, the
// lowest byte first.
package packed

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
)

// ErrCutOff says that bytes end too early.
var ErrCutOff = errors.New("cut off")

// AppendFloats writes floats.
func AppendFloats(out []byte, values ...float64) []byte {
	for _, v := range values {
		out = binary.LittleEndian.AppendUint64(out, math.Float64bits(v))
	}
	return out
}

// AppendText writes a text behind its length in bytes.
func AppendText(out []byte, text string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(text))), text...)
}

// Hash is the SHA-256 of an encoded model, in hexadecimal digits.
func Hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Reader takes values from the front of Rest. What is not there reads as a value that every caller refuses.
type Reader struct{ Rest []byte }

// Uvarint takes a whole number, math.MaxUint64 when there is none.
func (r *Reader) Uvarint() uint64 {
	v, n := binary.Uvarint(r.Rest)
	if n <= 0 {
		r.Rest = nil
		return math.MaxUint64
	}
	r.Rest = r.Rest[n:]
	return v
}

// Take gives so many bytes, nil when there are not enough.
func (r *Reader) Take(n int) []byte {
	if len(r.Rest) < n {
		r.Rest = nil
		return nil
	}
	out := r.Rest[:n]
	r.Rest = r.Rest[n:]
	return out
}

// Float takes a float of 64 bits, NaN when there is none.
func (r *Reader) Float() float64 {
	if b := r.Take(8); b != nil {
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	return math.NaN()
}

// Float32 takes a float of 32 bits, NaN when there is none.
func (r *Reader) Float32() float32 {
	if b := r.Take(4); b != nil {
		return math.Float32frombits(binary.LittleEndian.Uint32(b))
	}
	return float32(math.NaN())
}

// Text takes a text that stands behind its length in bytes.
func (r *Reader) Text() (string, error) {
	n := r.Uvarint()
	if n > uint64(len(r.Rest)) {
		return "", ErrCutOff
	}
	return string(r.Take(int(n))), nil
}
