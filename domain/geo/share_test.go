package geo

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func (a wide) big() *big.Int {
	b := new(big.Int).Lsh(new(big.Int).SetUint64(a.hi), 64)
	return b.Or(b, new(big.Int).SetUint64(a.lo))
}

// The long division is right in its corners too, which no step on earth would find: words of all ones, of nothing but
// the highest bit, quotients that the first estimate misses by one and by two.
func TestShareIsAFloor(t *testing.T) {
	word := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1, 1<<63 - 1, 1 << 63, 1<<63 + 1, 1<<64 - 2, 1<<64 - 1}))
	rapid.Check(t, func(t *rapid.T) {
		den := wide{hi: word.Draw(t, "den hi") >> rapid.IntRange(0, 63).Draw(t, "shift"), lo: word.Draw(t, "den lo")}
		u := wide{hi: word.Draw(t, "u hi"), lo: word.Draw(t, "u lo")}
		if rapid.Bool().Draw(t, "close") {
			u.hi = den.hi
		}
		den.hi, u.hi = den.hi>>1, u.hi>>1 // magnitudes stay below 2^127
		if !u.below(den) {
			u, den = den, u
		}
		d := word.Draw(t, "d")
		if !u.below(den) {
			return
		}
		want := new(big.Int).Mul(u.big(), new(big.Int).SetUint64(d))
		want.Div(want, den.big())
		if got := share(u, den, d); got != want.Uint64() {
			t.Fatalf("share(%v, %v, %d) = %d, want %v", u, den, d, got, want)
		}
	})
}

// Corners that were found by looking for them: the estimate is the largest digit, and it is too large.
func TestShareCorrects(t *testing.T) {
	const ones = 1<<64 - 1
	for _, c := range []struct {
		u, den wide
		d      uint64
	}{
		{wide{hi: 1 << 62, lo: 0}, wide{hi: 1 << 62, lo: 1}, ones},
		{wide{hi: 1 << 62, lo: ones - 1}, wide{hi: 1 << 62, lo: ones}, ones},
		{wide{hi: 1<<63 - 1, lo: 0}, wide{hi: 1<<63 - 1, lo: ones}, ones},
		{wide{hi: 0, lo: ones}, wide{hi: 1, lo: 0}, ones},
		{wide{hi: 0, lo: ones - 1}, wide{hi: 0, lo: ones}, ones},
	} {
		want := new(big.Int).Mul(c.u.big(), new(big.Int).SetUint64(c.d))
		want.Div(want, c.den.big())
		if got := share(c.u, c.den, c.d); got != want.Uint64() {
			t.Errorf("share(%v, %v, %d) = %d, want %v", c.u, c.den, c.d, got, want)
		}
	}
}
