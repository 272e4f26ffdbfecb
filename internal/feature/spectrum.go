package feature

import (
	"math"
	"math/cmplx"
	"slices"

	"gonum.org/v1/gonum/dsp/fourier"
)

// Calculators of frequencies.
var _ = add(
	calculator{name: "fft_coefficient", params: []parameter{oneOf("attr", "real", "imag", "abs", "angle"), wholeFrom("coeff", 0)},
		formula: "of Σ xⱼ e^(−2πi j coeff / n), for coeff ≤ n / 2; the angle in degrees",
		usual:   crossed(words("attr", "real", "imag", "abs", "angle"), each("coeff", upTo(0, 99)...)), compute: coefficient},
	calculator{name: "fft_aggregated", params: []parameter{oneOf("aggtype", "centroid", "variance", "skew", "kurtosis")},
		formula: "moments of the place k weighted with |fft_coefficient k|, as tsfresh has them; skew and kurtosis for a variance ≥ 0.5",
		usual:   words("aggtype", "centroid", "variance", "skew", "kurtosis"), compute: spectralMoment},
	calculator{name: "spkt_welch_density", params: []parameter{wholeFrom("coeff", 0)},
		formula: "power at frequency coeff by Welch: mean over half overlapping segments of at most 256 values, less their means, under a Hann window",
		usual:   each("coeff", 2, 5, 8),
		compute: func(s *series, p arguments) float64 {
			if power := s.welch(); p.whole(0) < len(power) {
				return power[p.whole(0)]
			}
			return math.NaN()
		}},
	calculator{name: "fourier_entropy", params: []parameter{binsFrom1("bins")}, formula: "binned_entropy of spkt_welch_density at all frequencies / its maximum",
		usual: each("bins", 2, 3, 5, 10, 100), compute: spectralEntropy},
)

func coefficient(s *series, p arguments) float64 {
	spectrum := s.spectrum()
	if p.whole(1) >= len(spectrum) {
		return math.NaN()
	}
	c := spectrum[p.whole(1)]
	switch p.word(0) {
	case "real":
		return real(c)
	case "imag":
		return imag(c)
	case "abs":
		return cmplx.Abs(c)
	}
	return cmplx.Phase(c) * 180 / math.Pi
}

func (s *series) spectrum() []complex128 {
	return s.transform.get(func() []complex128 { return s.of.fourier(s.x) })
}

func spectralMoment(s *series, p arguments) float64 {
	m := once(s, key{what: "spectral moments"}, func() [5]float64 {
		var m [5]float64
		for k, c := range s.spectrum() {
			term := cmplx.Abs(c)
			for i := range m {
				m[i] += term
				term *= float64(k)
			}
		}
		for i := range m[1:] {
			m[i+1] /= m[0]
		}
		return m
	})
	centroid := m[1]
	spread := m[2] - centroid*centroid
	switch p.word(0) {
	case "centroid":
		return centroid
	case "variance":
		return spread
	}
	if spread < 0.5 {
		return math.NaN()
	}
	if p.word(0) == "skew" {
		return (m[3] - 3*centroid*spread - centroid*centroid*centroid) / math.Pow(spread, 1.5)
	}
	// tsfresh's last term is 3 · centroid, where the fourth central moment has 3 · centroid⁴.
	return (m[4] - 4*centroid*m[3] + 6*m[2]*centroid*centroid - 3*centroid) / (spread * spread)
}

// welch estimates the power spectrum (P. D. Welch, IEEE Transactions on Audio and Electroacoustics 15, 1967), one-sided, for
// a sampling rate of 1.
func (s *series) welch() []float64 {
	return s.power.get(func() []float64 {
		size := min(len(s.x), 256)
		window, scale := make([]float64, size), 0.0
		for i := range window {
			window[i] = 1
			if size > 1 {
				window[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(size))
			}
			scale += window[i] * window[i]
		}
		power, segments, step := make([]float64, size/2+1), 0, size-size/2
		segment := make([]float64, size)
		for from := 0; from+size <= len(s.x); from += step {
			m := mean(s.x[from : from+size])
			for i := range segment {
				segment[i] = (s.x[from+i] - m) * window[i]
			}
			for k, c := range s.of.fourier(segment) {
				power[k] += real(c)*real(c) + imag(c)*imag(c)
			}
			segments++
		}
		for k := range power {
			power[k] /= scale * float64(segments)
			if k > 0 && (k < size/2 || size%2 == 1) {
				power[k] *= 2
			}
		}
		return power
	})
}

func spectralEntropy(s *series, p arguments) float64 {
	power := s.welch()
	highest := slices.Max(power)
	if !(highest > 0) || math.IsInf(highest, 1) {
		return math.NaN()
	}
	shares := make([]float64, len(power))
	for i, v := range power {
		shares[i] = v / highest
	}
	return entropy(binned(shares, slices.Min(shares), 1, p.whole(0)), len(shares))
}

// plans bounds the number of lengths for which an extractor keeps what a transform needs.
const plans = 64

// fourier gives the first n/2 + 1 coefficients of the discrete Fourier transform of n values.
func (e *Extractor) fourier(x []float64) []complex128 {
	n := len(x)
	if largestFactor(n) > 100 {
		return e.byConvolution(x)
	}
	plan := e.ffts[n]
	if plan == nil {
		if len(e.ffts) >= plans {
			clear(e.ffts)
		}
		plan = fourier.NewFFT(n)
		e.ffts[n] = plan
	}
	return plan.Coefficients(nil, x)
}

func largestFactor(n int) int {
	largest := 1
	for f := 2; f*f <= n; f++ {
		for n%f == 0 {
			largest, n = f, n/f
		}
	}
	return max(largest, n)
}

// chirp is what a transform of n values by convolution needs: n has a large prime factor, for which the plain algorithm takes
// time n · factor.
type chirp struct {
	turns []complex128 // e^(−πi k² / n)
	other []complex128 // the transform of their inverses, wrapped around
	plan  *fourier.CmplxFFT
}

// byConvolution transforms by L. Bluestein's algorithm (IEEE Transactions on Audio and Electroacoustics 18, 1970).
func (e *Extractor) byConvolution(x []float64) []complex128 {
	n := len(x)
	c := e.turns[n]
	if c == nil {
		if len(e.turns) >= plans {
			clear(e.turns)
		}
		c = newChirp(n)
		e.turns[n] = c
	}
	a := make([]complex128, c.plan.Len())
	for k, v := range x {
		a[k] = complex(v, 0) * c.turns[k]
	}
	a = c.plan.Coefficients(a, a)
	for k := range a {
		a[k] *= c.other[k]
	}
	a = c.plan.Sequence(a, a)
	out := make([]complex128, n/2+1)
	for k := range out {
		out[k] = a[k] * c.turns[k] / complex(float64(len(a)), 0)
	}
	return out
}

func newChirp(n int) *chirp {
	size := 1
	for size < 2*n {
		size *= 2
	}
	c := &chirp{turns: make([]complex128, n), plan: fourier.NewCmplxFFT(size)}
	inverse := make([]complex128, size)
	for k := range n {
		c.turns[k] = cmplx.Rect(1, -math.Pi*float64(k*k%(2*n))/float64(n))
		inverse[k] = cmplx.Conj(c.turns[k])
		inverse[(size-k)%size] = inverse[k]
	}
	c.other = c.plan.Coefficients(inverse, inverse)
	return c
}
