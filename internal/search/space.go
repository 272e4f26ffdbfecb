package search

import (
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"strconv"
	"strings"

	"damson/internal/pipeline"
)

// Point is one combination: a value for each searched parameter, in the order of the space.
type Point []Parameter

// Apply gives the algorithm with the point's parameters.
func (p Point) Apply(a pipeline.Algorithm) (pipeline.Algorithm, error) {
	out, err := p.apply(a)
	if err != nil {
		return a, fmt.Errorf("give %s the parameters %s: %w", a.Name(), Trial{Parameters: p}.Describe(), err)
	}
	return out, nil
}

func (p Point) apply(a pipeline.Algorithm) (out pipeline.Algorithm, err error) {
	text, err := json.Marshal(a)
	if err != nil {
		return out, err
	}
	var parameters map[string]map[string]json.RawMessage
	if err := json.Unmarshal(text, &parameters); err != nil {
		return out, err
	}
	for _, one := range p {
		parameters[a.Name()][strings.ToLower(one.Name)] = one.Value // in JSON all are in lower case, C too
	}
	if text, err = json.Marshal(parameters); err != nil {
		return out, err
	}
	err = json.Unmarshal(text, &out)
	return out, err
}

// Unsearched gives a model without what its search has found: each searched parameter has the first of its values, as in the
// declaration.
func Unsearched(m pipeline.Model) (pipeline.Model, error) {
	if m.Search == nil {
		return m, nil
	}
	first := make(Point, len(m.Search.Space))
	for i, d := range m.Search.Space {
		first[i] = Parameter{d.Parameter, value(d, 0)}
	}
	var err error
	m.Algorithm, err = first.Apply(m.Algorithm)
	return m, err
}

// Endless is how many combinations a space has that holds a range of real numbers.
const Endless = math.MaxInt

// Combinations counts a space's, up to Endless.
func Combinations(space []pipeline.Dimension) int {
	all := 1
	for _, d := range space {
		high, low := bits.Mul64(uint64(all), uint64(values(d)))
		if high > 0 || low >= Endless {
			return Endless
		}
		all = int(low)
	}
	return all
}

// values counts a dimension's.
func values(d pipeline.Dimension) int {
	switch r := d.Range; {
	case r == nil:
		return len(d.Choices)
	case r.Whole:
		return int(r.High-r.Low)/max(r.Step, 1) + 1
	}
	return Endless
}

// value gives one value of a dimension by its place: of a range of real numbers there is the first only.
func value(d pipeline.Dimension, at int) json.RawMessage {
	if d.Range == nil {
		return d.Choices[at]
	}
	return number(d.Range.Low + float64(at*max(d.Range.Step, 1)))
}

func number(v float64) json.RawMessage {
	format := byte('g')
	if v == math.Trunc(v) {
		format = 'f' // whole numbers are read back as such
	}
	return json.RawMessage(strconv.FormatFloat(v, format, -1, 64))
}

// Points lists the combinations that a search tries: all of a grid, the last parameter changing fastest; as many as there are
// trials of a random search, or all where there are no more.
func Points(s pipeline.Search) []Point {
	all := Combinations(s.Space)
	if s.Method == pipeline.GridSearch || all <= s.Trials {
		points := make([]Point, min(all, MaxTrials))
		for i := range points {
			points[i] = nth(s.Space, i)
		}
		return points
	}
	var points []Point
	known := map[string]bool{}
	for draw := uint64(0); len(points) < min(s.Trials, MaxTrials) && draw < drawsPerTrial*uint64(s.Trials); draw++ {
		p := drawn(s, draw)
		if text := (Trial{Parameters: p}).Describe(); !known[text] {
			known[text] = true
			points = append(points, p)
		}
	}
	return points
}

// drawsPerTrial bounds the search for combinations that were not drawn before, where nearly all were.
const drawsPerTrial = 1000

// nth gives a combination of a space without ranges of real numbers.
func nth(space []pipeline.Dimension, n int) Point {
	p := make(Point, len(space))
	for i := len(space) - 1; i >= 0; i-- {
		d := space[i]
		p[i] = Parameter{d.Parameter, value(d, n%values(d))}
		n /= values(d)
	}
	return p
}

// streamSearch sets these random numbers apart from others of the same seed.
const streamSearch = 0x73656172

// drawn draws a combination, which depends on the search's seed, the number of the draw and the space alone.
func drawn(s pipeline.Search, draw uint64) Point {
	random := rand.NewPCG(uint64(s.Seed), streamSearch<<32+draw)
	p := make(Point, len(s.Space))
	for i, d := range s.Space {
		word := random.Uint64() // one for each parameter, so that a changed range leaves the others as they were
		p[i] = Parameter{d.Parameter, drawnValue(d, word)}
	}
	return p
}

func drawnValue(d pipeline.Dimension, word uint64) json.RawMessage {
	share := float64(word>>11) * 0x1p-53 // from 0, below 1
	r := d.Range
	switch {
	case r == nil || r.Whole && !r.Log:
		at, _ := bits.Mul64(word, uint64(values(d)))
		return value(d, int(at))
	case r.Whole:
		return number(clamp(math.Floor(between(math.Log(r.Low), math.Log(r.High+1), share, math.Exp)), *r))
	case r.Log:
		return number(clamp(short(between(math.Log(r.Low), math.Log(r.High), share, math.Exp)), *r))
	}
	return number(clamp(short(between(r.Low, r.High, share, func(v float64) float64 { return v })), *r))
}

func between(low, high, share float64, scale func(float64) float64) float64 {
	return scale(low + float64(share*(high-low)))
}

func clamp(v float64, r pipeline.Range) float64 { return min(max(v, r.Low), r.High) }

// short keeps four digits: enough to tell parameters apart, and few enough that processors whose logarithms differ in the last
// bit draw the same.
func short(v float64) float64 {
	out, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	if err != nil {
		panic("search: a number that can not be read back")
	}
	return out
}
