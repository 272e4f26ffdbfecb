package feature

import (
	"math"
	"slices"
)

// sumOf adds as numpy's pairwise summation does: eight sums side by side up to 128 values, halves beyond. f gives the value
// at i.
func sumOf(from, n int, f func(i int) float64) float64 {
	switch {
	case n < 8:
		sum := 0.0
		for i := range n {
			sum += f(from + i)
		}
		return sum
	case n <= 128:
		var r [8]float64
		for k := range r {
			r[k] = f(from + k)
		}
		i := 8
		for ; i < n-n%8; i += 8 {
			for k := range r {
				r[k] += f(from + i + k)
			}
		}
		sum := ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]))
		for ; i < n; i++ {
			sum += f(from + i)
		}
		return sum
	}
	half := n / 2
	half -= half % 8
	return sumOf(from, half, f) + sumOf(from+half, n-half, f)
}

// sum adds the values in numpy's order.
func sum(x []float64) float64 {
	n := len(x)
	if n < 8 {
		total := 0.0
		for _, v := range x {
			total += v
		}
		return total
	}
	if n > 128 {
		half := n / 2
		half -= half % 8
		return sum(x[:half]) + sum(x[half:])
	}
	r0, r1, r2, r3, r4, r5, r6, r7 := x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]
	i := 8
	for ; i < n-n%8; i += 8 {
		r0 += x[i]
		r1 += x[i+1]
		r2 += x[i+2]
		r3 += x[i+3]
		r4 += x[i+4]
		r5 += x[i+5]
		r6 += x[i+6]
		r7 += x[i+7]
	}
	total := ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
	for ; i < n; i++ {
		total += x[i]
	}
	return total
}

func mean(x []float64) float64 { return sum(x) / float64(len(x)) }

// variance is the population's, about the given mean.
func variance(x []float64, mean float64) float64 {
	return sumOf(0, len(x), func(i int) float64 { return float64((x[i] - mean) * (x[i] - mean)) }) / float64(len(x))
}

func dot(a, b []float64) float64 {
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}

// quantile interpolates linearly between the sorted values, as numpy's default method does.
func quantile(sorted []float64, q float64) float64 {
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	at := q * float64(n-1)
	low := int(math.Floor(at))
	if low >= n-1 {
		return sorted[n-1]
	}
	share, a, b := at-float64(low), sorted[low], sorted[low+1]
	if share >= 0.5 {
		return b - float64((b-a)*(1-share))
	}
	return a + float64((b-a)*share)
}

func medianOf(sorted []float64) float64 {
	n := len(sorted)
	switch {
	case n == 0:
		return math.NaN()
	case n%2 == 1:
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// aggregate is numpy's function of that name; the values may be put into order.
func aggregate(name string, x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	switch name {
	case "max":
		return slices.Max(x)
	case "min":
		return slices.Min(x)
	case "mean":
		return mean(x)
	case "median":
		slices.Sort(x)
		return medianOf(x)
	case "std":
		return math.Sqrt(variance(x, mean(x)))
	case "var":
		return variance(x, mean(x))
	case "sum":
		return sum(x)
	}
	panic("feature: no aggregate " + name)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
