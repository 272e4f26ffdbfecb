package citydata

// goTo travels from a to b, on foot where the mode does not reach, and gives the second of arrival.
func (p *person) goTo(t int64, m mode, a, b point) int64 {
	distance := a.to(b)
	if distance < 450 || m != bike && distance < 1100 {
		m = walk
	}
	switch m {
	case walk, bike:
		return p.leg(t, m, p.route(p.rng, a, b, 1, map[mode]int{walk: 3, bike: 5}[m]), 0)
	case subway:
		from, to := p.station(a), p.station(b)
		if from.to(to) < stationApart {
			return p.goTo(t, bus, a, b)
		}
		t = p.leg(t, walk, p.route(p.rng, a, from, 1, 3), 0)
		t = p.wait(t, from, 40)
		t = p.ride(t, from, to)
		return p.leg(t, walk, p.route(p.rng, to, b, 1, 3), 0)
	}
	i, j := p.corner(a, arterialEvery)
	ei, ej := p.corner(b, arterialEvery)
	from, to := p.at(i, j), p.at(ei, ej)
	switch {
	case m == bus:
		t = p.leg(t, walk, p.route(p.rng, a, from, 1, 3), 0)
		t = p.wait(t, from, 150)
		t = p.leg(t, bus, p.route(p.rng, from, to, arterialEvery, 4), 420)
		return p.leg(t, walk, p.route(p.rng, to, b, 1, 3), 0)
	case m == taxi:
		t = p.wait(t, a, 90)
		return p.leg(t, taxi, p.route(p.rng, a, b, arterialEvery, 3), 0)
	}
	parked, parking := p.near(p.rng, a, 70), p.near(p.rng, b, 130)
	t = p.leg(t, walk, []point{a, parked}, 0)
	t = p.leg(t, car, p.route(p.rng, parked, parking, arterialEvery, 3), 0)
	return p.leg(t, walk, []point{parking, b}, 0)
}

// leg travels a path in one mode and labels it.
func (p *person) leg(t int64, m mode, path []point, stopsApart float64) int64 {
	g := gaitOf(p.rng, m, p.pace, p.jam(t))
	end := travel(p.rng, t, path, g, halts(p.rng, path, g, stopsApart), p.gps.see)
	p.label(t, end, m)
	return end
}

// ride takes the underground, whose receiver sees the sky only at its ends and now and then at a station.
func (p *person) ride(t int64, from, to point) int64 {
	g := gaitOf(p.rng, subway, 1, 0)
	middle := from.between(to, 0.5)
	path := []point{from, p.near(p.rng, middle, 0.15*from.to(to)), to}
	overground := p.rng.Float64() < 0.4
	tunnel := t + 25
	end := travel(p.rng, t, path, g, halts(p.rng, path, g, stationApart), func(now int64, at point) {
		if !overground && now > tunnel && at.to(to) > 150 {
			return
		}
		p.gps.see(now, at)
	})
	p.label(t, end, subway)
	return end
}

// wait stands about for some seconds, up to twice as many.
func (p *person) wait(t int64, at point, seconds int) int64 {
	if seconds == 0 {
		return t
	}
	for end := t + int64(seconds/3+p.rng.IntN(seconds+1)); t < end; t++ {
		p.gps.see(t, at)
	}
	return t
}

// jam is 0 on empty streets and 1 in the worst hour, at the second t.
func (p *person) jam(t int64) float64 {
	hour := float64((t+utcOffset)%86_400) / 3600
	near := func(peak float64) float64 { return max(0, 1-(hour-peak)*(hour-peak)/3) }
	return min(1, 0.15+0.75*max(near(8.2), near(17.9))+0.15*p.rng.Float64())
}

// label writes a trip down the way people do: most, not all; some seconds early or late; now and then until far into the
// next trip, or as the wrong mode.
func (p *person) label(start, end int64, m mode) {
	if end-start < 60 || p.rng.Float64() >= p.labelling {
		return
	}
	start += p.rng.Int64N(41) - 20
	end += p.rng.Int64N(51) - 20
	switch luck := p.rng.Float64(); {
	case luck < 0.015:
		end += 60 + p.rng.Int64N(180)
	case luck < 0.045:
		m = p.pick(walk, bike, bus, car)
	}
	p.labels = append(p.labels, label{start, end, m})
}
