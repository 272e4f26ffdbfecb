package citydata

import (
	"math"
	"math/rand/v2"
)

// mode is a way to move, as labels name it.
type mode string

const (
	walk   mode = "walk"
	bike   mode = "bike"
	bus    mode = "bus"
	car    mode = "car"
	taxi   mode = "taxi"
	subway mode = "subway"
	stay   mode = "" // waiting, indoors or out; nobody labels it
)

// gait is how something moves: speeds in m/s, accelerations in m/s².
type gait struct {
	cruise, wobble float64 // speed, and the relative size of its slow changes
	speedUp, brake float64
	corner         float64 // speed around corners
	lights         float64 // chance of a red light at a corner
	red            int     // longest wait there, in seconds
}

// gaitOf draws how this trip goes. pace is the person's own, about 1; jam is 0 on empty streets and 1 in the worst hour.
func gaitOf(rng *rand.Rand, m mode, pace, jam float64) gait {
	odd := rng.Float64()
	switch m {
	case walk:
		g := gait{cruise: 1.32 * pace * (0.9 + 0.2*rng.Float64()), wobble: 0.16, speedUp: 0.8, brake: 1, corner: 9, lights: 0.13, red: 40}
		if odd < 0.08 { // jogs
			g.cruise, g.lights = 2.3+1.1*rng.Float64(), 0.04
		} else if odd < 0.2 { // strolls
			g.cruise, g.wobble = 0.55+0.35*rng.Float64(), 0.5
		}
		return g
	case bike:
		g := gait{cruise: 3.9 * pace * (0.85 + 0.3*rng.Float64()), wobble: 0.2, speedUp: 0.6, brake: 1.2, corner: 2.8, lights: 0.22, red: 45}
		if odd < 0.22 { // through crowds, uphill, beside a friend on foot
			g.cruise, g.wobble = 1.2+1.2*rng.Float64(), 0.35
		}
		return g
	case bus:
		g := gait{cruise: (11 - 5*jam) * (0.85 + 0.3*rng.Float64()), wobble: 0.15 + 0.3*jam, speedUp: 0.9, brake: 1.2, corner: 4, lights: 0.4, red: 60}
		if odd < 0.14*jam { // crawls
			g.cruise, g.wobble = 1.6+2*rng.Float64(), 0.7
		}
		return g
	case subway:
		return gait{cruise: 16 + 3*rng.Float64(), wobble: 0.05, speedUp: 1, brake: 1, corner: 25}
	}
	g := gait{cruise: (14.5 - 6.5*jam) * (0.85 + 0.3*rng.Float64()), wobble: 0.15 + 0.35*jam, speedUp: 1.6, brake: 2, corner: 5, lights: 0.45, red: 70}
	if odd < 0.18*jam { // stuck
		g.cruise, g.wobble = 1.1+1.8*rng.Float64(), 0.8
	}
	return g
}

// halt is a place along the path that bounds the speed, and where one waits when the speed is 0.
type halt struct {
	at, speed float64
	wait      int
}

// halts draws the corners, red lights, and stops every apart metres (0 for none) of a path.
func halts(rng *rand.Rand, path []point, g gait, apart float64) []halt {
	var all []halt
	along, next := 0.0, apart*(0.7+0.6*rng.Float64())
	for k := 1; k < len(path); k++ {
		end := along + path[k-1].to(path[k])
		for apart > 0 && next < end {
			all = append(all, halt{at: next, wait: 8 + rng.IntN(28)})
			next += apart * (0.7 + 0.6*rng.Float64())
		}
		along = end
		switch {
		case k == len(path)-1:
			all = append(all, halt{at: end})
		case rng.Float64() < g.lights:
			all = append(all, halt{at: end, wait: 3 + rng.IntN(g.red)})
		default:
			all = append(all, halt{at: end, speed: g.corner})
		}
	}
	return all
}

// travel moves along path, no two neighbours of which are equal, from second t on and tells see where it is each second. It returns the second of arrival.
func travel(rng *rand.Rand, t int64, path []point, g gait, hs []halt, see func(t int64, p point)) int64 {
	if len(hs) == 0 {
		return t
	}
	var v, along, segmentStart float64
	segment, wobble := 1, 1.0
	length := path[0].to(path[1])
	limit := t + 3*3600 // nobody travels longer
	for ; t < limit; t++ {
		h := &hs[0]
		left := h.at - along
		if left < 0.8+0.5*v && (h.speed > 0 || v < 1.2) {
			if h.wait > 0 {
				h.wait--
				v = 0
				see(t, path[segment-1].between(path[segment], (along-segmentStart)/length))
				continue
			}
			if hs = hs[1:]; len(hs) == 0 {
				return t
			}
			continue
		}
		wobble += 0.04*(1-wobble) + 0.28*g.wobble*(rng.Float64()-0.5)
		target := g.cruise * max(0.12, wobble)
		if reach := h.speed*h.speed + 2*g.brake*left; reach < target*target {
			target = math.Sqrt(max(0.3, reach))
		}
		v += max(-g.brake, min(g.speedUp, target-v))
		along += v
		for along > segmentStart+length && segment < len(path)-1 {
			segmentStart += length
			segment++
			length = path[segment-1].to(path[segment])
		}
		see(t, path[segment-1].between(path[segment], min(1, (along-segmentStart)/length)))
	}
	return t
}
