package citydata

import (
	"math"
	"math/rand/v2"
	"slices"
)

// point is a place in metres east and north of the city's centre.
type point struct{ x, y float64 }

func (a point) to(b point) float64 { return math.Hypot(b.x-a.x, b.y-a.y) }

// between gives the point that is the share f of the way from a to b.
func (a point) between(b point, f float64) point { return point{a.x + (b.x-a.x)*f, a.y + (b.y-a.y)*f} }

// city is a street grid, turned against the compass, with a centre of high buildings and stations of an underground.
type city struct {
	east, north, sin, cos float64 // grid line spacing and direction
	stations              []point
}

const (
	centreLat     = 44.3120
	centreLon     = 26.9570
	metresPerLat  = 111_120.0
	utcOffset     = 2 * 3600 // local time; files and labels are in GMT
	canyonRadius  = 1300.0   // of the centre in which streets hide the sky
	cityRadius    = 7000.0
	stationApart  = 1050.0
	arterialEvery = 4 // every fourth street carries the traffic
)

var metresPerLon = metresPerLat * math.Cos(centreLat*math.Pi/180)

func newCity(rng *rand.Rand) *city {
	turn := 0.15 + 0.1*rng.Float64()
	c := &city{east: 170, north: 215, sin: math.Sin(turn), cos: math.Cos(turn)}
	for line := range 4 { // lines cross in the centre
		angle := turn + float64(line)*math.Pi/4
		for d := -cityRadius; d <= cityRadius; d += stationApart {
			bend := 350 * math.Sin(d/2500+float64(line))
			c.stations = append(c.stations, point{d*math.Cos(angle) - bend*math.Sin(angle), d*math.Sin(angle) + bend*math.Cos(angle)})
		}
	}
	return c
}

// home gives a place to live: anywhere. work is nearer the centre.
func (c *city) home(rng *rand.Rand) point { return c.place(rng, 0.75*cityRadius) }
func (c *city) work(rng *rand.Rand) point { return c.place(rng, 0.4*cityRadius) }

func (c *city) place(rng *rand.Rand, radius float64) point {
	r, a := radius*math.Sqrt(rng.Float64()), 2*math.Pi*rng.Float64()
	return point{r * math.Cos(a), r * math.Sin(a)}
}

// near gives a place at about that distance from p.
func (c *city) near(rng *rand.Rand, p point, metres float64) point {
	r, a := metres*(0.6+0.8*rng.Float64()), 2*math.Pi*rng.Float64()
	return point{p.x + r*math.Cos(a), p.y + r*math.Sin(a)}
}

// corner gives the street corner nearest to p, on streets whose number is a multiple of every.
func (c *city) corner(p point, every int) (i, j int) {
	u, v := p.x*c.cos+p.y*c.sin, p.y*c.cos-p.x*c.sin
	n := float64(every)
	return int(math.Round(u/c.east/n)) * every, int(math.Round(v/c.north/n)) * every
}

func (c *city) at(i, j int) point {
	u, v := float64(i)*c.east, float64(j)*c.north
	return point{u*c.cos - v*c.sin, u*c.sin + v*c.cos}
}

// route goes from a to b along the streets that are multiples of every; it goes straight for up to blocks of them before
// it turns, and ends at a and b themselves.
func (c *city) route(rng *rand.Rand, a, b point, every, blocks int) []point {
	i, j := c.corner(a, every)
	ei, ej := c.corner(b, every)
	path := append(make([]point, 0, 16), a, c.at(i, j))
	across := rng.IntN(2) == 0
	for i != ei || j != ej {
		n := (1 + rng.IntN(blocks)) * every
		switch {
		case across && i != ei || j == ej:
			i += clampInt(ei-i, n)
		default:
			j += clampInt(ej-j, n)
		}
		across = !across
		path = append(path, c.at(i, j))
	}
	return slices.Compact(append(path, b)) // a and b may be corners themselves
}

func clampInt(d, n int) int { return max(-n, min(n, d)) }

// station gives the station nearest to p.
func (c *city) station(p point) point {
	best, distance := c.stations[0], math.Inf(1)
	for _, s := range c.stations {
		if d := p.to(s); d < distance {
			best, distance = s, d
		}
	}
	return best
}
