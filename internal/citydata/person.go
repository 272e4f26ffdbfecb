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

// secondsADay is how long people are out and about on average, as the receiver sees it.
const secondsADay = 3650.0

// carries decides whether the person takes the receiver along on a day, so that the points come to what is wanted: from
// the points still missing, the days left, and the length of recordings so far (as if three average ones had come before).
func (p *person) carries(day int) bool {
	perDay := (p.points + 3*secondsADay/float64(p.gps.interval)) / (p.recordings + 3)
	return p.rng.Float64() < (p.wanted-p.points)/(float64(p.days-day)*perDay)
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
		if err := p.spend(w, user, day); err != nil {
			return err
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
	start int64
	stops []point // at least two
	mode  mode    // of the main legs
	pause int     // seconds at each stop in between
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
		all = append(all, outing{start, stops, m, pause})
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
	if len(all) == 0 && p.broken(day) != sound {
		add(clock(10, 1), p.commute, 0, p.home, p.work)
	}
	slices.SortFunc(all, func(a, b outing) int { return cmp.Compare(a.start, b.start) })
	return all
}

// broken says what is wrong with the recording of a day.
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

// spend lets the person live a day and records it, in one file, if the receiver is taken along.
func (p *person) spend(w *writer, user string, day int) error {
	flaw := p.broken(day)
	outings := p.outings(day)
	if !p.carries(day) && flaw == sound {
		for _, o := range outings {
			if p.labelling > 0 && p.rng.Float64() < 0.015 { // written down all the same
				p.labels = append(p.labels, label{o.start, o.start + 600 + p.rng.Int64N(1500), o.mode})
			}
		}
		return nil
	}
	file := w.begin(flaw)
	p.gps.begin(file)
	for _, o := range outings {
		p.free = p.goOut(max(o.start, p.free+300), o) // nobody is in two places at once
	}
	p.points += float64(file.points)
	p.recordings++
	p.flawed = p.flawed || flaw == latitude140 && file.points >= flawAt
	return w.end(user, file)
}

// goOut makes an outing from second t on and gives the second of its end.
func (p *person) goOut(t int64, o outing) int64 {
	for k := 1; k < len(o.stops); k++ {
		t = p.goTo(t, o.mode, o.stops[k-1], o.stops[k])
		if k < len(o.stops)-1 {
			t = p.wait(t, o.stops[k], o.pause)
		}
	}
	if p.rng.Float64() < 0.2 { // forgets to switch the receiver off
		t = p.wait(t, o.stops[len(o.stops)-1], 600)
	}
	return t
}
