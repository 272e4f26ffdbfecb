package tree

import (
	"crypto/md5"
	"encoding/binary"
)

// Key stands for a row's or group's identity: two numbers of 28 bits, the first fourteen hexadecimal digits of the MD5 of
// its text. A database computes the same from md5(text). MD5 serves as a mixer here and protects nothing.
type Key struct{ hi, lo uint32 }

// KeyOf gives the key of a text.
func KeyOf(text string) Key { return KeyOfMD5(md5.Sum([]byte(text))) }

// KeyOfParts gives the key of the two numbers that a database has computed.
func KeyOfParts(hi, lo int64) Key { return Key{uint32(hi), uint32(lo)} }

// KeyOfMD5 gives the key of the text with that MD5.
func KeyOfMD5(sum [md5.Size]byte) Key {
	bits := binary.BigEndian.Uint64(sum[:]) >> 8
	return Key{uint32(bits >> 28), uint32(bits & (1<<28 - 1))}
}

// Less orders keys, which is to say: shuffles rows the same way wherever they come from.
func (k Key) Less(other Key) bool {
	if k.hi != other.hi {
		return k.hi < other.hi
	}
	return k.lo < other.lo
}

// Bits is the key as one number, in the order of Less.
func (k Key) Bits() uint64 { return uint64(k.hi)<<28 | uint64(k.lo) }

// modulus is the Mersenne prime 2³¹-1. With keys of 28 bits all products below stay under 2⁶⁰, in the reach of every
// database's bigint.
const modulus = 1<<31 - 1

// Streams of random numbers of one seed. Callers of their own have the numbers below 2³².
const (
	streamBins     = 1 << 32
	StreamTrees    = 2 << 32 // plus the tree's number
	StreamRows     = 3 << 32 // plus the round's number
	StreamFeatures = 4 << 32 // plus the tree's number
)

// Draw gives every key a number that is as good as random, from a family of such functions that a seed and a stream name:
// (hi·a + lo·c + b) mod 2³¹-1 (pairwise independent: J. L. Carter and M. N. Wegman 1979). Databases compute the same.
type Draw struct{ a, c, b uint64 }

// NewDraw picks a function of the family. Different streams of one seed are unrelated.
func NewDraw(seed int64, stream uint64) Draw {
	g := Random(Mix(uint64(seed)) ^ Mix(stream+0x51ed270b))
	return Draw{a: 1 + g.Below(modulus-1), c: 1 + g.Below(modulus-1), b: g.Below(modulus)}
}

// Number is the key's number, from 0 to 2³¹-2.
func (d Draw) Number(k Key) uint32 {
	return uint32((uint64(k.hi)*d.a + uint64(k.lo)*d.c + d.b) % modulus)
}

// Below reports whether the key belongs to the given share of all keys: the same keys for ever, however many others come.
func (d Draw) Below(k Key, share float64) bool {
	return float64(d.Number(k)) < float64(share*modulus)
}

// poissonBounds are the cumulated probabilities of the Poisson distribution with mean 1, times the modulus, rounded down:
// a number below bound k, and not below the ones before, draws k. Written out so that no machine rounds them differently.
var poissonBounds = [...]uint32{790015083, 1580030167, 1975037709, 2106706890, 2139624185, 2146207644, 2147304887, 2147461637, 2147481230, 2147483407, 2147483625, 2147483645}

// MostDraws is the largest number that Poisson gives.
const MostDraws = len(poissonBounds)

// Poisson draws how often the key's row stands in a bootstrap sample (N. Oza and S. Russell, "Online Bagging", 2001).
func (d Draw) Poisson(k Key) uint8 {
	number := d.Number(k)
	for times, bound := range poissonBounds {
		if number < bound {
			return uint8(times)
		}
	}
	return uint8(MostDraws)
}

// Random is the splitmix64 generator (G. Steele, D. Lea, C. Flood 2014).
type Random uint64

func (r *Random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	return Mix(uint64(*r))
}

// Below gives a number from 0 to n-1. Its bias, below 2⁻³² for the n used here, is the price of needing no loop.
func (r *Random) Below(n uint64) uint64 { return r.next() >> 1 % n }

// Mix scrambles a number's bits, and no two numbers to the same.
func Mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
