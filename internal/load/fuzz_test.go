package load

import (
	"bytes"
	stdcsv "encoding/csv"
	stdjson "encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"damson/internal/load/literal"
	"damson/internal/pipeline"
	"damson/internal/warehouse/driver"
)

// parsed is what a parser made of a content.
type parsed struct {
	Rows    [][]string // text columns only; NULL is "∅"
	Lines   []int64
	Rejects []Reject
	Err     string
}

// parseIn feeds content to a parser through a buffer of that size at first, as if it were read from a disk. No
// record may be longer than most.
func parseIn(content []byte, buffer, most int, columns []driver.Column, p parser) parsed {
	l, err := newLayout(columns, pipeline.Load{LineColumn: "#"}, nil)
	if err != nil {
		panic(err)
	}
	var got parsed
	o := &out{layout: l, batch: newBatch(l, 8)}
	o.flush = func() error {
		got.take(o)
		o.batch, o.rejects = newBatch(l, 8), nil
		return nil
	}
	f := &file{name: "f"}
	o.start(f)
	s := &source{buffer: make([]byte, buffer), most: most}
	if err := s.feed(f, bytes.NewReader(content), p, o); err != nil {
		got.Err = err.Error()
	}
	got.take(o)
	if o.rows != int64(len(got.Rows)) || o.refused != int64(len(got.Rejects)) {
		panic(fmt.Sprintf("counted %d rows and %d rejects; there are %d and %d", o.rows, o.refused, len(got.Rows), len(got.Rejects)))
	}
	return got
}

func (p *parsed) take(o *out) {
	rows := o.batch.record(o.layout.schema())
	for i := range int(rows.NumRows()) {
		var row []string
		for _, c := range rows.Columns()[:o.layout.data] {
			text := "∅"
			if c.IsValid(i) {
				text = c.ValueStr(i)
			}
			row = append(row, text)
		}
		p.Rows = append(p.Rows, row)
		p.Lines = append(p.Lines, o.batch.columns[o.layout.line].words[i])
	}
	p.Rejects = append(p.Rejects, o.rejects...)
}

// same parses in one piece and in small ones, and fails when that makes a difference.
func same(t *testing.T, content []byte, columns []driver.Column, make func() parser) parsed {
	t.Helper()
	whole := parseIn(content, len(content)+16, maxRecord, columns, make())
	for _, buffer := range []int{3, 16} {
		if diff := cmp.Diff(whole, parseIn(content, buffer, maxRecord, columns, make())); diff != "" {
			t.Fatalf("a buffer of %d bytes makes a difference (-whole +pieces):\n%s", buffer, diff)
		}
	}
	for _, r := range whole.Rejects {
		if r.Reason == "" || !utf8.ValidString(r.Text) || strings.Contains(r.Text, "\x00") || r.Line < 1 {
			t.Fatalf("a reject that cannot be stored: %+v", r)
		}
	}
	if whole.Err == "" && !slices.IsSorted(whole.Lines) {
		t.Fatalf("lines out of order: %v", whole.Lines)
	}
	return whole
}

// TestRecordsThatAreTooLong has parsers meet records longer than they may keep, here 16 bytes.
func TestRecordsThatAreTooLong(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100)
	tests := []struct {
		name, content string
		parser        parser
		rows          [][]string
		rejected      []int64 // lines
	}{
		{"a long line", "1,a\n" + long + "\n2,b\n", newCSV(pipeline.Load{Format: "csv"}, []string{"c0", "c1"}), [][]string{{"1", "a"}, {"2", "b"}}, []int64{2}},
		{"a long last line", "1,a\n" + long, newCSV(pipeline.Load{Format: "csv"}, []string{"c0", "c1"}), [][]string{{"1", "a"}}, []int64{2}},
		{"a quote that stays open", "1,\"a\n2,b\n3,c\n4,d\n5,e\n6,f\n", newCSV(pipeline.Load{Format: "csv"}, []string{"c0", "c1"}),
			[][]string{{"2", "b"}, {"3", "c"}, {"4", "d"}, {"5", "e"}, {"6", "f"}}, []int64{1}},
		{"a JSON text that stays open", "{\"c0\":1}\n{\"c0\":\"" + long + "\n{\"c0\":2}\n", newJSON(pipeline.Load{}, []string{"c0", "c1"}),
			[][]string{{"1", "∅"}, {"2", "∅"}}, []int64{2}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := parseIn([]byte(test.content), 16, 16, texts(2), test.parser)
			var lines []int64
			for _, r := range got.Rejects {
				lines = append(lines, r.Line)
			}
			if diff := cmp.Diff(test.rows, got.Rows) + cmp.Diff(test.rejected, lines); diff != "" || got.Err != "" {
				t.Errorf("%s (-want +got):\n%s", got.Err, diff)
			}
		})
	}
}

func texts(n int) []driver.Column {
	var columns []driver.Column
	for i := range n {
		columns = append(columns, driver.Column{Name: fmt.Sprintf("c%d", i), Type: driver.Text})
	}
	return columns
}

func FuzzCSV(f *testing.F) {
	for _, seed := range []string{
		"a,b\n1,2\r\n", "\"x\"\"y\",\"1\n2\"\n", "\"a\r\n\",b\n\n,\n", "a\"b,c\n\"d\"e,f\n", "\"open,1\n2,3\n", "\xef\xbb\xbfa,b", "a,\"b\"\r", "a,b\r\nc\n", "\xff,\x00\n",
	} {
		f.Add([]byte(seed), false, uint8(0))
		f.Add([]byte(seed), true, uint8(1))
	}
	f.Fuzz(func(t *testing.T, content []byte, header bool, skip uint8) {
		spec := pipeline.Load{Format: "csv", Header: header, SkipLines: int(skip % 4)}
		got := same(t, content, texts(2), func() parser { return newCSV(spec, []string{"c0", "c1"}) })
		if header || spec.SkipLines > 0 || len(got.Rejects) > 0 || got.Err != "" {
			return
		}
		std, err := stdcsv.NewReader(bytes.NewReader(content)).ReadAll()
		if err != nil || bytes.HasPrefix(content, []byte("\xef\xbb\xbf")) || bytes.ContainsRune(content, '\r') {
			return // encoding/csv refuses more, keeps the mark, and changes CRLF inside of quotes
		}
		for i, row := range std {
			for c, value := range row {
				if have := got.Rows[i][c]; have != value && !(have == "∅" && value == "") {
					t.Fatalf("row %d: %q, encoding/csv has %q", i, got.Rows[i], row)
				}
			}
		}
		if len(std) != len(got.Rows) {
			t.Fatalf("%d rows, encoding/csv has %d", len(got.Rows), len(std))
		}
	})
}

func FuzzPLT(f *testing.F) {
	const head = "Geolife trajectory\r\nWGS 84\r\nAltitude is in Feet\r\nReserved 3\r\n0,2,255,My Track,0,0,2,8421376\r\n0\r\n"
	f.Add([]byte(head + "39.984702,116.318417,0,492,39744.1201851852,2008-10-23,02:53:04\r\n39.9,1,0,-777,3,2008-10-23,02:53:04"))
	f.Add([]byte(head + "39.984702,116.318417,0,492\n\n,,,,,,\n 1 ,2,,4,5,2008/10/23,02:53:04,\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		got := same(t, content, pltColumns, func() parser { return newPLT(pipeline.Load{}) })
		if got.Err != "" {
			return
		}
		lines := 0
		for i, line := range strings.Split(strings.TrimSuffix(strings.TrimPrefix(string(content), "\xef\xbb\xbf"), "\n"), "\n") {
			if i >= pltHeader && line != "" && line != "\r" {
				lines++
			}
		}
		if len(got.Rows)+len(got.Rejects) != lines {
			t.Fatalf("%d rows and %d rejects of %d lines", len(got.Rows), len(got.Rejects), lines)
		}
	})
}

func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"c0":"a","c1":"b"}` + "\n" + `{"c0":1}`, `[{"c0":"\u00e9\ud83d\ude00\ud83d"},` + "\n" + `{"c1":[1,{"x":null}]}]`, `{"c0":"`, "{}{}\n[]", `[1,{"c0":tru}]`, `{"c0":1e5,"c1":-0.5E-3}`, "[", "[]x",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		got := same(t, content, texts(2), func() parser { return newJSON(pipeline.Load{}, []string{"c0", "c1"}) })
		if end := literal.ScanValue(content, 0, 0); end == len(content) != stdjson.Valid(content) && !bytes.ContainsAny(content[:1], " \t\r\n") &&
			!bytes.ContainsAny(content[len(content)-1:], " \t\r\n") {
			t.Fatalf("ScanValue gives %d of %d; encoding/json says %v", end, len(content), stdjson.Valid(content))
		}
		if len(got.Rejects) > 0 {
			return
		}
		dec := stdjson.NewDecoder(bytes.NewReader(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))))
		for _, row := range got.Rows {
			var object map[string]any
			if err := dec.Decode(&object); err != nil {
				return // an array, which the decoder takes in one piece
			}
			for i, have := range row {
				if want, ok := object[fmt.Sprintf("c%d", i)].(string); ok && have != want {
					t.Fatalf("value %q, encoding/json has %q", have, want)
				}
			}
		}
		if err := dec.Decode(new(any)); len(got.Rows) > 0 && err == nil {
			t.Fatal("encoding/json has one more object")
		} else if err != io.EOF && len(got.Rows) > 0 && !bytes.HasPrefix(content, []byte("[")) {
			t.Logf("encoding/json: %v", err)
		}
	})
}
