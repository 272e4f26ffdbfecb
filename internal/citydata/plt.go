package citydata

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// writer writes the files and counts.
type writer struct {
	dir         string
	sum         Summary
	first, last int64 // seconds of the first and last point
	buffer      []byte
}

const pltHeader = "Geolife trajectory\r\nWGS 84\r\nAltitude is in Feet\r\nReserved 3\r\n0,2,255,My Track,0,0,2,8421376\r\n0\r\n"

// recording is a PLT file in the making.
type recording struct {
	text        []byte
	start       int64 // seconds since 1970
	points      int
	broken      int
	flaw        flaw // put in with the sixth point
	day         int64
	date        []byte // ",2007-04-12," of that day
	lastLine    int    // where the last line starts
	heldLine    []byte // goes in after the next one
	first, last int64
}

// flaw is what is wrong with a whole file.
type flaw uint8

const (
	sound flaw = iota
	truncated
	notNumeric
	latitude140
)

// flawAt is the point at which a flaw shows; a shorter recording is kept sound.
const flawAt = 6

// excelEpoch is 1899-12-30, from which PLT files count days, in days before 1970.
const excelEpoch = 25_569

// add appends a point. Coordinates have six decimals, days ten.
func (f *recording) add(t int64, lat, lon float64, height int64) {
	if f.points == 0 {
		f.start, f.first = t, t
	}
	f.points++
	f.last = max(f.last, t)
	f.lastLine = len(f.text)
	day, second := t/86_400, t%86_400
	if day != f.day || f.date == nil {
		f.day = day
		f.date = time.Unix(t, 0).UTC().AppendFormat(f.date[:0], ",2006-01-02,")
	}
	b := f.text
	if f.flaw == latitude140 && f.points == flawAt {
		b = append(b, badLatitude...)
	} else {
		b = appendDecimal(b, int64(math.Round(lat*1e6)), 1_000_000)
	}
	b = append(b, ',')
	b = appendDecimal(b, int64(math.Round(lon*1e6)), 1_000_000)
	b = append(b, ",0,"...)
	b = strconv.AppendInt(b, height, 10)
	b = append(b, ',')
	b = appendDecimal(b, (day+excelEpoch)*10_000_000_000+(second*10_000_000_000+43_200)/86_400, 10_000_000_000)
	b = append(b, f.date...)
	b = appendClock(b, second, ':')
	f.text = append(b, '\r', '\n')
	if f.heldLine != nil {
		f.text = append(f.text, f.heldLine...)
		f.heldLine = nil
	}
	if f.points == flawAt {
		f.breakLine()
	}
}

// hold takes the last line out, to put it in after the next one.
func (f *recording) hold() {
	f.heldLine = append([]byte(nil), f.text[f.lastLine:]...)
	f.text = f.text[:f.lastLine]
}

// breakLine adds a line that is none.
func (f *recording) breakLine() {
	switch f.flaw {
	case truncated:
		f.text = append(f.text, "44.3127,26.9\r\n"...)
	case notNumeric:
		f.text = append(f.text, "n/a,n/a,0,-777,39184.2671643519,2007-04-12,06:24:43\r\n"...)
	default:
		return
	}
	f.broken++
}

// appendDecimal writes n/scale with all decimals of scale, a power of ten.
func appendDecimal(b []byte, n, scale int64) []byte {
	if n < 0 {
		b = append(b, '-')
		n = -n
	}
	b = strconv.AppendInt(b, n/scale, 10)
	b = append(b, '.')
	rest := n % scale
	var digits [10]byte
	k := len(digits)
	for ; scale > 1; scale /= 10 {
		k--
		digits[k] = byte('0' + rest%10)
		rest /= 10
	}
	return append(b, digits[k:]...)
}

// appendClock writes hours, minutes and seconds.
func appendClock(b []byte, second int64, separator byte) []byte {
	two := func(n int64) { b = append(b, byte('0'+n/10), byte('0'+n%10)) }
	two(second / 3600)
	b = append(b, separator)
	two(second / 60 % 60)
	b = append(b, separator)
	two(second % 60)
	return b
}

// begin gives an empty recording, in the writer's one buffer.
func (w *writer) begin(f flaw) *recording {
	w.buffer = append(w.buffer[:0], pltHeader...)
	return &recording{text: w.buffer, flaw: f}
}

// end writes a recording that has points enough to be one.
func (w *writer) end(user string, f *recording) error {
	f.text = append(f.text, f.heldLine...)
	w.buffer = f.text
	if f.points < flawAt {
		return nil
	}
	name := time.Unix(f.start, 0).UTC().Format("20060102150405") + ".plt"
	if err := os.WriteFile(filepath.Join(w.dir, user, "Trajectory", name), f.text, 0o666); err != nil {
		return err
	}
	if w.sum.Files == 0 || f.first < w.first {
		w.first = f.first
	}
	w.last = max(w.last, f.last)
	w.sum.Files++
	w.sum.Points += int64(f.points)
	w.sum.Broken += f.broken
	w.sum.Bytes += int64(len(f.text))
	return nil
}

// label is a trip as the person wrote it down.
type label struct {
	start, end int64
	mode       mode
}

// labels writes a user's labels.txt.
func (w *writer) labels(user string, labels []label) error {
	const layout = "2006/01/02 15:04:05"
	text := []byte("Start Time\tEnd Time\tTransportation Mode\r\n")
	for _, l := range labels {
		text = fmt.Appendf(text, "%s\t%s\t%s\r\n", time.Unix(l.start, 0).UTC().Format(layout), time.Unix(l.end, 0).UTC().Format(layout), l.mode)
	}
	w.sum.Labelled++
	w.sum.Labels += len(labels)
	w.sum.Bytes += int64(len(text))
	return os.WriteFile(filepath.Join(w.dir, user, "labels.txt"), text, 0o666)
}

func dateText(t int64) string { return time.Unix(t, 0).UTC().Format(time.DateOnly) }
