package tree

import "math"

// Go computes math.Exp in assembly on some processors and not on others, and may fuse x*y + z where the processor can; both
// change last bits. The functions here give the same bits everywhere: they use only additions, multiplications and divisions
// in one order, and the conversions to float64 forbid the fusing.

// Halves of ln 2 / 32 and ln 2: the first has zeros at its end, so that its product with a small integer is exact.
const (
	ln2By32High = 0x1.62e42p-6
	ln2By32Low  = 0x1.fdf473de6af28p-27
	ln2High     = 0x1.62e42p-1
	ln2Low      = 0x1.fdf473de6af28p-22
	by32Ln2     = 0x1.71547652b82fep+5
)

// RoundMagic, added and subtracted, rounds numbers below 2⁵¹ to the nearest integer.
const RoundMagic = 0x1.8p52

// powers are 2^(j/32).
var powers = [32]float64{
	0x1p+0, 0x1.059b0d3158574p+0, 0x1.0b5586cf9890fp+0, 0x1.11301d0125b51p+0,
	0x1.172b83c7d517bp+0, 0x1.1d4873168b9aap+0, 0x1.2387a6e756238p+0, 0x1.29e9df51fdee1p+0,
	0x1.306fe0a31b715p+0, 0x1.371a7373aa9cbp+0, 0x1.3dea64c123422p+0, 0x1.44e086061892dp+0,
	0x1.4bfdad5362a27p+0, 0x1.5342b569d4f82p+0, 0x1.5ab07dd485429p+0, 0x1.6247eb03a5585p+0,
	0x1.6a09e667f3bcdp+0, 0x1.71f75e8ec5f74p+0, 0x1.7a11473eb0187p+0, 0x1.82589994cce13p+0,
	0x1.8ace5422aa0dbp+0, 0x1.93737b0cdc5e5p+0, 0x1.9c49182a3f09p+0, 0x1.a5503b23e255dp+0,
	0x1.ae89f995ad3adp+0, 0x1.b7f76f2fb5e47p+0, 0x1.c199bdd85529cp+0, 0x1.cb720dcef9069p+0,
	0x1.d5818dcfba487p+0, 0x1.dfc97337b9b5fp+0, 0x1.ea4afa2a490dap+0, 0x1.f50765b6e454p+0,
}

// expLimit bounds what Exp is given: beyond it lie 0 and infinity, and PostgreSQL refuses to compute them.
const expLimit = 700

// Exp is eˣ within 2 units in the last place, for |x| ≤ 700; a larger or smaller x counts as ±700. x = (32k + j)·ln2/32 + r
// gives 2ᵏ · 2^(j/32) · eʳ, the last by its series (P. Tang, "Table-driven implementation of the exponential function", 1989).
func Exp(x float64) float64 {
	x = min(max(x, -expLimit), expLimit)
	shifted := float64(x*by32Ln2) + RoundMagic
	n := shifted - RoundMagic
	whole := int64(math.Float64bits(shifted)<<13) >> 13 // the integer n stands in the lower bits
	r := float64(x-float64(n*ln2By32High)) - float64(n*ln2By32Low)
	p := 1.0/120 + float64(r*(1.0/720))
	p = 1.0/24 + float64(r*p)
	p = 1.0/6 + float64(r*p)
	p = 0.5 + float64(r*p)
	p = r + float64(float64(r*r)*p)
	t := powers[whole&31]
	v := t + float64(t*p)
	return v * math.Float64frombits(uint64(whole>>5+1023)<<52)
}

// Log is the natural logarithm of a normal positive number, within 2 units in the last place of the larger of 1 and the
// result: the exponent times ln 2 plus 2·artanh((m-1)/(m+1)) of the rest, by its series.
func Log(x float64) float64 {
	bits := math.Float64bits(x)
	exponent := int(bits>>52) - 1023
	m := math.Float64frombits(bits&(1<<52-1) | 1023<<52)
	if m > math.Sqrt2 {
		m, exponent = m/2, exponent+1
	}
	s := (m - 1) / (m + 1)
	s2 := float64(s * s)
	p := 0.0
	for k := 23; k >= 3; k -= 2 {
		p = float64(s2 * (p + 1/float64(k)))
	}
	e := float64(exponent)
	return float64(e*ln2High) + (float64(e*ln2Low) + float64(2*s)*(1+p))
}

// Sigmoid is the probability whose log-odds are x.
func Sigmoid(x float64) float64 { return 1 / (1 + Exp(-x)) }

// softmax turns scores into probabilities that add up to 1.
func softmax(scores []float64) {
	highest := scores[0]
	for _, s := range scores[1:] {
		highest = max(highest, s)
	}
	total := 0.0
	for k, s := range scores {
		scores[k] = Exp(s - highest)
		total += scores[k]
	}
	for k := range scores {
		scores[k] /= total
	}
}
