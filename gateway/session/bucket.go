package session

import "paceline/domain/unit"

// bucket is a token bucket over samples or messages. Tokens are counted in thousandths, so that a slow
// rate is exact.
type bucket struct {
	perS   int64 // tokens
	burst  int64 // tokens
	milli  int64 // tokens there, in thousandths
	at     unit.InstantMs
	primed bool
}

// take takes n tokens, or says when they will be there.
func (b *bucket) take(now unit.InstantMs, n int) (ok bool, until unit.InstantMs) {
	if !b.primed {
		b.milli, b.at, b.primed = b.burst*1000, now, true
	}
	if now > b.at {
		// More than a full refill at once could overflow: a node clock may jump far.
		if d := int64(now - b.at); d > b.burst*1000/b.perS+1 {
			b.milli = b.burst * 1000
		} else {
			b.milli = min(b.milli+d*b.perS, b.burst*1000)
		}
		b.at = now
	}
	need := int64(n) * 1000
	if b.milli >= need {
		b.milli -= need
		return true, 0
	}
	short := need - b.milli
	return false, b.at + unit.InstantMs((short+b.perS-1)/b.perS)
}
