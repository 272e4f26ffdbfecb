package citydata

import (
	"math"
	"math/rand/v2"
)

// receiver is a GPS device: where it says it is, and when it says something.
type receiver struct {
	rng      *rand.Rand
	interval int64   // seconds between points
	sigma    float64 // of the slow error, in metres
	noHeight bool    // never knows its altitude
	file     *recording

	next           int64 // second of the next point
	lost           int64 // no sky until this second
	canyon         int64 // bad sky until this second
	driftX, driftY float64
	keep, fresh    float64 // of the drift from one point to the next
	height         float64 // feet
	held           bool    // the last line waits for a later one to go first
}

// driftSeconds is how long an error lasts.
const driftSeconds = 45.0

func newReceiver(rng *rand.Rand, interval int64) *receiver {
	r := &receiver{rng: rng, interval: interval, sigma: 3 + 5*rng.Float64(), noHeight: rng.Float64() < 0.15, height: 260 + 120*rng.Float64()}
	r.keep = math.Exp(-float64(interval) / driftSeconds)
	r.fresh = math.Sqrt(1 - r.keep*r.keep)
	return r
}

// begin starts a recording.
func (r *receiver) begin(f *recording) {
	r.file, r.next, r.lost, r.canyon, r.held = f, 0, 0, 0, false
	r.driftX, r.driftY = r.sigma*r.rng.NormFloat64(), r.sigma*r.rng.NormFloat64()
}

// see is called each second with the true position.
func (r *receiver) see(t int64, p point) {
	if t < r.next || t < r.lost {
		return
	}
	r.next = t + r.interval
	sigma := r.sigma
	if t < r.canyon {
		sigma *= 4.5
	}
	r.driftX = r.keep*r.driftX + r.fresh*sigma*r.rng.NormFloat64()
	r.driftY = r.keep*r.driftY + r.fresh*sigma*r.rng.NormFloat64()
	jitter := 0.22 * r.sigma
	x := p.x + r.driftX + jitter*r.rng.NormFloat64()
	y := p.y + r.driftY + jitter*r.rng.NormFloat64()
	r.height += 1.5 * (r.rng.Float64() - 0.5)
	luck := r.rng.Float64()
	if luck > 0.015 { // nothing happens
		r.write(t, x, y)
		return
	}
	r.mishap(t, x, y, p, luck/0.015)
}

// mishap is what goes wrong with one point in seventy. which is uniform in [0, 1).
func (r *receiver) mishap(t int64, x, y float64, p point, which float64) {
	switch {
	case which < 0.05: // an outlier
		reach, angle := 150+1800*r.rng.Float64()*r.rng.Float64(), 2*math.Pi*r.rng.Float64()
		r.write(t, x+reach*math.Cos(angle), y+reach*math.Sin(angle))
	case which < 0.15: // said twice
		r.write(t, x, y)
		r.write(t, x, y)
	case which < 0.25: // twice at one time, at two places
		r.write(t, x, y)
		r.write(t, x+3*r.rng.NormFloat64(), y+3*r.rng.NormFloat64())
	case which < 0.28: // goes to the file after the next one
		r.write(t, x, y)
		r.file.hold()
	case which < 0.36: // silence
		r.write(t, x, y)
		r.lost = t + 10 + r.rng.Int64N(110)
	case math.Hypot(p.x, p.y) < canyonRadius: // high buildings
		r.write(t, x, y)
		r.canyon = t + 10 + r.rng.Int64N(40)
	default:
		r.write(t, x, y)
	}
}

func (r *receiver) write(t int64, x, y float64) {
	height := int64(-777)
	if !r.noHeight {
		height = int64(r.height)
	}
	r.file.add(t, centreLat+y/metresPerLat, centreLon+x/metresPerLon, height)
}
