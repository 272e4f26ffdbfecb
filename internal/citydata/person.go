package citydata

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// person is one user: where they live, how they move, and what they record.
type person struct {
	*city
	rng              *rand.Rand
	id, days         int
	start            int64 // midnight GMT of the first day
	home, work, shop point
	commute          mode
	pace             float64
	gps              *receiver
	wanted, points   float64 // how many points to record, and how many there are
	recordings       float64
	records          float64 // chance to carry the receiver on an outing
	labelling        float64 // chance to label a leg; 0 for people who never do
	labels           []label
	free             int64 // second at which the latest outing has ended
	flawed           bool  // the latitude of 140 is written
}

// newPerson draws a user. Two of three label; of those a third only some trips.
func newPerson(town *city, o Options, id int) *person {
	rng := rand.New(rand.NewPCG(uint64(o.Seed), uint64(id)+1))
	p := &person{city: town, rng: rng, id: id, days: o.Days, start: o.Start.Unix(), home: town.home(rng), work: town.work(rng),
		pace: 0.85 + 0.3*rng.Float64()}
	p.shop = town.near(rng, p.home, 1700)
	switch id % 3 {
	case 0:
		p.labelling = 0.95
	case 1:
		p.labelling = []float64{0.97, 0.5}[id/3%2]
	}
	p.commute = []mode{bus, subway, car, bike, bus, car, taxi, subway, bike, walk}[(id*7+id/10)%10]
	if p.commute == walk {
		p.work = town.near(rng, p.home, 1100)
	}
	interval := []int64{3, 5, 2, 4, 5, 10, 3, 5, 30, 4, 2, 5, 20, 1, 60}[(id+id/3)%15]
	p.gps = newReceiver(rng, interval)
	p.wanted = float64(o.Points) / float64(o.Users)
	return p
}

// outingsADay and secondsAnOuting are what people do on average.
const (
	outingsADay     = 1.75
	secondsAnOuting = 2100
)

// carry sets the chance to carry the receiver so that the person's points come to what is wanted: from the points still
// missing, the days left, and the length of recordings so far (as if five average ones had come before).
func (p *person) carry(day int) {
	perRecording := (p.points + 5*secondsAnOuting/float64(p.gps.interval)) / (p.recordings + 5)
	p.records = min(1, max(0, (p.wanted-p.points)/(float64(p.days-day)*outingsADay*perRecording)))
}

// live makes the person's recordings and writes them.
func (p *person) live(ctx context.Context, w *writer) error {
	user := fmt.Sprintf("%03d", p.id)
	if err := os.MkdirAll(filepath.Join(w.dir, user, "Trajectory"), 0o777); err != nil {
		return err
	}
	for day := range p.days {
		if err := ctx.Err(); err != nil {
			return err
		}
		p.carry(day)
		outings := p.outings(day)
		slices.SortFunc(outings, func(a, b outing) int { return cmp.Compare(a.start, b.start) })
		for _, o := range outings {
			o.start = max(o.start, p.free+300) // nobody is in two places at once
			if err := p.record(w, user, day, o); err != nil {
				return err
			}
		}
	}
	if p.labelling == 0 {
		return nil
	}
	slices.SortFunc(p.labels, func(a, b label) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end)) })
	return w.labels(user, p.labels)
}

// outing is a time to go somewhere, and the ways to.
type outing struct {
	start    int64
	stops    []point // at least two
	mode     mode    // of the main legs
	pause    int     // seconds at each stop in between
	carrying bool
}

// outings draws what a person does on a day.
func (p *person) outings(day int) []outing {
	midnight := p.start + int64(day)*86_400 - utcOffset
	weekday := (p.start/86_400 + int64(day) + 4) % 7 // 0 is Sunday
	clock := func(hour, spread float64) int64 {
		return midnight + int64(3600*(hour+spread*(p.rng.Float64()+p.rng.Float64()-1)))
	}
	var all []outing
	add := func(start int64, m mode, pause int, stops ...point) {
		all = append(all, outing{start: start, stops: stops, mode: m, pause: pause, carrying: p.rng.Float64() < p.records})
	}
	if weekday >= 1 && weekday <= 5 && p.rng.Float64() < 0.92 {
		add(clock(7.9, 0.9), p.commute, 0, p.home, p.work)
		if p.rng.Float64() < 0.2 {
			add(clock(12.3, 0.5), walk, 900, p.work, p.near(p.rng, p.work, 350), p.work)
		}
		add(clock(17.8, 1.2), p.usually(p.commute), 0, p.work, p.home)
	}
	if p.rng.Float64() < 0.4 {
		add(clock(15.5+3*float64(weekday%2), 1.5), p.pick(walk, bike, car, bus, taxi), 600, p.home, p.shop, p.home)
	}
	if p.rng.Float64() < 0.06 || weekday == 0 && p.rng.Float64() < 0.2 { // a walk, or a jog
		add(clock(20.2, 0.8), walk, 120, p.home, p.near(p.rng, p.home, 1000), p.near(p.rng, p.home, 700), p.home)
	}
	if weekday == 6 && p.rng.Float64() < 0.5 { // home at two o'clock, which is midnight in GMT
		add(clock(25.9, 0.15), p.pick(taxi, taxi, bus, walk), 0, p.near(p.rng, p.home, 2200), p.home)
	}
	if p.broken(day) != sound {
		if len(all) == 0 {
			add(clock(10, 1), p.commute, 0, p.home, p.work)
		}
		all[0].carrying = true
	}
	return all
}

// broken says what is wrong with the first recording of a day.
func (p *person) broken(day int) flaw {
	switch {
	case p.id == 0 && day >= p.days/2 && !p.flawed:
		return latitude140
	case p.id%5 == 1 && day >= p.days/3 && day < p.days/3+7 && day%3 == 0:
		return []flaw{truncated, notNumeric}[p.id/5%2]
	}
	return sound
}

func (p *person) pick(modes ...mode) mode { return modes[p.rng.IntN(len(modes))] }

// usually gives m, or now and then another mode.
func (p *person) usually(m mode) mode {
	if p.rng.Float64() < 0.12 {
		return p.pick(walk, bike, bus, car, taxi, subway)
	}
	return m
}

// record makes one recording of an outing that the receiver is carried on.
func (p *person) record(w *writer, user string, day int, o outing) error {
	if !o.carrying {
		if p.labelling > 0 && p.rng.Float64() < 0.015 { // written down all the same
			p.labels = append(p.labels, label{o.start, o.start + 600 + p.rng.Int64N(1500), o.mode})
		}
		return nil
	}
	file := w.begin(p.broken(day))
	p.gps.begin(file)
	t := o.start
	for k := 1; k < len(o.stops); k++ {
		t = p.goTo(t, o.mode, o.stops[k-1], o.stops[k])
		if k < len(o.stops)-1 {
			t = p.wait(t, o.stops[k], o.pause)
		}
	}
	if p.rng.Float64() < 0.2 { // forgets to switch it off
		t = p.wait(t, o.stops[len(o.stops)-1], 600)
	}
	p.free = t
	p.points += float64(file.points)
	p.recordings++
	p.flawed = p.flawed || file.flaw == latitude140 && file.points >= flawAt
	return w.end(user, file)
}

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
