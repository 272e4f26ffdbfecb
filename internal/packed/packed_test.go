package packed_test

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"damson/internal/packed"
)

func TestReaderTakesWhatWasWritten(t *testing.T) {
	t.Parallel()
	data := packed.AppendText(binary.AppendUvarint(nil, 300), "Straße")
	data = packed.AppendFloats(data, -0.1, math.Inf(1))
	data = binary.LittleEndian.AppendUint32(data, math.Float32bits(1.5))
	r := packed.Reader{Rest: data}
	number, text := r.Uvarint(), ""
	text, err := r.Text()
	if number != 300 || text != "Straße" || err != nil {
		t.Errorf("read %d, %q, %v", number, text, err)
	}
	if a, b, c := r.Float(), r.Float(), r.Float32(); a != -0.1 || b != math.Inf(1) || c != 1.5 || len(r.Rest) > 0 {
		t.Errorf("read %v, %v, %v, and %d bytes are left", a, b, c, len(r.Rest))
	}
}

func TestWhatIsNotThereIsRefused(t *testing.T) {
	t.Parallel()
	short := func() *packed.Reader { return &packed.Reader{Rest: []byte{0xff}} }
	if n := short().Uvarint(); n != math.MaxUint64 {
		t.Errorf("half a number is %d", n)
	}
	if v := short().Float(); !math.IsNaN(v) {
		t.Errorf("a byte is the float %v", v)
	}
	if v := short().Float32(); v == v {
		t.Errorf("a byte is the float %v", v)
	}
	if _, err := (&packed.Reader{Rest: []byte{5, 'a'}}).Text(); !errors.Is(err, packed.ErrCutOff) {
		t.Errorf("a text of five bytes that has one: %v", err)
	}
}
