package feature

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/dsp/fourier"
)

// series is the values of a series, with what several calculators need of them, computed when it is first asked for.
type series struct {
	x         []float64
	of        *Extractor
	moments   lazy[moments]
	ordered   lazy[[]float64]
	repeated  lazy[repeated]
	changes   lazy[[]float64]
	centred   lazy[[]float64]
	transform lazy[[]complex128]
	power     lazy[[]float64]
	others    map[key]any
}

type lazy[T any] struct {
	done  bool
	value T
}

func (l *lazy[T]) get(make func() T) T {
	if !l.done {
		l.value, l.done = make(), true
	}
	return l.value
}

// key names something of a series that depends on parameters.
type key struct {
	what, word string
	a, b       float64
}

// once computes something that depends on parameters the first time that it is asked for.
func once[T any](s *series, k key, make func() T) T {
	if v, there := s.others[k]; there {
		return v.(T)
	}
	v := make()
	if s.others == nil {
		s.others = map[key]any{}
	}
	s.others[k] = v
	return v
}

// moments are what most calculators read.
type moments struct{ sum, mean, variance, deviation, low, high float64 }

func (s *series) stats() moments {
	return s.moments.get(func() moments {
		m := moments{sum: sum(s.x), low: math.NaN(), high: math.NaN()}
		m.mean = m.sum / float64(len(s.x))
		m.variance = variance(s.x, m.mean)
		m.deviation = math.Sqrt(m.variance)
		if len(s.x) > 0 {
			m.low, m.high = slices.Min(s.x), slices.Max(s.x)
		}
		return m
	})
}

func (s *series) n() float64 { return float64(len(s.x)) }

// sorted gives the values in order; they must not be changed.
func (s *series) sorted() []float64 {
	return s.ordered.get(func() []float64 {
		x := slices.Clone(s.x)
		slices.Sort(x)
		return x
	})
}

// repeated tells how often values occur.
type repeated struct {
	values   int     // different ones
	again    int     // different ones that occur more than once
	points   int     // of values that occur more than once
	valueSum float64 // of those values, each once
	pointSum float64 // … each as often as it occurs
}

func (s *series) repeats() repeated {
	return s.repeated.get(func() repeated {
		var r repeated
		sorted := s.sorted()
		var once, all []float64
		for i := 0; i < len(sorted); {
			j := i + 1
			for j < len(sorted) && sorted[j] == sorted[i] {
				j++
			}
			r.values++
			weight := 0.0
			if j-i > 1 {
				r.again++
				r.points += j - i
				weight = 1
			}
			once, all = append(once, weight*sorted[i]), append(all, weight*float64(j-i)*sorted[i])
			i = j
		}
		r.valueSum, r.pointSum = sum(once), sum(all)
		return r
	})
}

// diffs are the changes from each value to the next.
func (s *series) diffs() []float64 {
	return s.changes.get(func() []float64 {
		if len(s.x) < 2 {
			return nil
		}
		d := make([]float64, len(s.x)-1)
		for i := range d {
			d[i] = s.x[i+1] - s.x[i]
		}
		return d
	})
}

// deviations are the values less their mean.
func (s *series) deviations() []float64 {
	return s.centred.get(func() []float64 {
		m := s.stats().mean
		d := make([]float64, len(s.x))
		for i, v := range s.x {
			d[i] = v - m
		}
		return d
	})
}

// Extractor computes features of one series after another. It is for one goroutine.
type Extractor struct {
	features  []Feature
	cancelled func() bool
	ffts      map[int]*fourier.FFT
	turns     map[int]*chirp
}

// NewExtractor makes an extractor. cancelled, which may be nil, is asked now and then by calculators that take long; once it
// says yes, what they give has no meaning.
func NewExtractor(features []Feature, cancelled func() bool) *Extractor {
	if cancelled == nil {
		cancelled = func() bool { return false }
	}
	return &Extractor{features: features, cancelled: cancelled, ffts: map[int]*fourier.FFT{}, turns: map[int]*chirp{}}
}

// Append computes the features of a series, its values in order, and appends them to out in the features' order. Values that
// are not finite are left out of the series, which is changed by that. NaN means that the feature is not defined.
func (e *Extractor) Append(out []float64, values []float64) []float64 {
	finite := values[:0]
	for _, v := range values {
		if v-v == 0 {
			finite = append(finite, v)
		}
	}
	s := &series{x: finite, of: e}
	for _, f := range e.features {
		if len(finite) == 0 && !f.calculator.empty {
			out = append(out, math.NaN())
			continue
		}
		out = append(out, f.calculator.compute(s, f.args))
	}
	return out
}
