// Package citydata makes up a city: people who walk, cycle, drive and ride through it with GPS receivers, written in the
// layout of the GeoLife data set. Its central function is Generate. The demonstration and the benchmarks run on it where
// the real data, which may not be passed on, is not at hand.
//
//	dir/Data/000/Trajectory/20070412063105.plt   one recording: six header lines, then a line a point, CRLF
//	dir/Data/000/labels.txt                      start, end and mode of the trips that the person labelled
//
// The data has the flaws of real recordings: drifting and jumping positions, tunnels, repeated and swapped points, unknown
// altitudes, broken lines, one latitude of 140, labels that are late, overlap, or name trips without points. A model that
// tells walking from the rest gets it right mostly, not always: buses crawl, cyclists push, joggers run.
//
// It knows no person and no place that exists. The same options give the same bytes (on one processor architecture:
// another may round sums of products differently).
package citydata

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// Options of Generate. Zero fields have the defaults of the demonstration.
type Options struct {
	Seed  int64
	Users int       // 30; two of three label their trips, a third of those only some
	Days  int       // 60
	Start time.Time // first day, 2007-04-12
	// Points is how many points the recordings have together, to within some 10 %: people record on fewer or more days.
	// 7,500 for each user and 60 days by default.
	Points int
}

// Summary counts what Generate wrote.
type Summary struct {
	Users     int    `json:"users"`
	Labelled  int    `json:"labelled"` // users with a labels.txt
	Files     int    `json:"files"`    // PLT files
	Points    int64  `json:"points"`   // lines of PLT files that are whole
	Broken    int    `json:"broken"`   // lines that are not
	Labels    int    `json:"labels"`
	Bytes     int64  `json:"bytes"`
	FirstDate string `json:"first_date"` // of the points, GMT
	LastDate  string `json:"last_date"`
}

// badLatitude is what one point has in place of its latitude.
const badLatitude = "140.0063166666667"

func (o Options) withDefaults() Options {
	if o.Users <= 0 {
		o.Users = 30
	}
	if o.Days <= 0 {
		o.Days = 60
	}
	if o.Start.IsZero() {
		o.Start = time.Date(2007, 4, 12, 0, 0, 0, 0, time.UTC)
	}
	if o.Points <= 0 {
		o.Points = 7500 * o.Users * o.Days / 60
	}
	y, m, d := o.Start.UTC().Date()
	o.Start = time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	return o
}

// Generate writes the city's recordings under dir, which must not have any yet.
func Generate(ctx context.Context, dir string, o Options) (Summary, error) {
	o = o.withDefaults()
	data := filepath.Join(dir, "Data")
	if entries, err := os.ReadDir(data); err == nil && len(entries) > 0 {
		return Summary{}, fmt.Errorf("making a city in %s: %s is there already", dir, data)
	}
	w := &writer{dir: data}
	town := newCity(rand.New(rand.NewPCG(uint64(o.Seed), 0)))
	for id := range o.Users {
		p := newPerson(town, o, id)
		if err := p.live(ctx, w); err != nil {
			return Summary{}, fmt.Errorf("making the recordings of user %03d: %w", id, err)
		}
	}
	w.sum.Users = o.Users
	w.sum.FirstDate, w.sum.LastDate = dateText(w.first), dateText(w.last)
	return w.sum, nil
}
