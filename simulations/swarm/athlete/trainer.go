package athlete

import (
	"math"

	"paceline/domain/unit"
)

// Trainer is the smart trainer that a rider has at home: its motor follows what it is set to, and goes back to the
// rider's own setting when nobody sets it any more. The zero value cannot be set; NewTrainer makes one.
type Trainer struct {
	// What it offers, in 0.01 %. A motor that is worn reaches less: HardBp.
	LeastBp, MostBp int32
	RampBpPerS      uint32
	HardBp          int32 // beyond it, either way, a setting is limited
	OwnBp           int32 // the rider's own setting
	Off             bool  // the rider has taken it back, on the machine

	isBp   float64
	movedA unit.InstantMs
	wantBp int32
	until  unit.InstantMs

	Applied, Limited, Refused int
	LowestBp, HighestBp       int32 // that it was set to
}

// NewTrainer is a trainer as they are sold: from -10 % to 20 %, 2 % a second.
func NewTrainer() *Trainer {
	return &Trainer{LeastBp: -1000, MostBp: 2000, RampBpPerS: 200, HardBp: 1600}
}

// Set takes a setting that holds until an instant, and says what came of it: applied, limited or refused.
func (t *Trainer) Set(bp int32, until, now unit.InstantMs) string {
	t.move(now)
	if t.Off || bp < t.LeastBp || bp > t.MostBp || until <= now || until.Sub(now) > 2*unit.Second {
		t.Refused++
		return "refused"
	}
	if t.Applied+t.Limited == 0 {
		t.LowestBp, t.HighestBp = bp, bp
	}
	t.LowestBp, t.HighestBp = min(t.LowestBp, bp), max(t.HighestBp, bp)
	t.wantBp, t.until = max(-t.HardBp, min(bp, t.HardBp)), until
	if t.wantBp != bp {
		t.Limited++
		return "limited"
	}
	t.Applied++
	return "applied"
}

// InclineBp is what the rider feels.
func (t *Trainer) InclineBp(now unit.InstantMs) int32 {
	t.move(now)
	return int32(math.Round(t.isBp))
}

// move lets the motor go on, first by the setting as long as it holds, then back to the rider's own.
func (t *Trainer) move(now unit.InstantMs) {
	if t.movedA == 0 {
		t.isBp, t.movedA = float64(t.OwnBp), now
	}
	if set := min(now, t.until); set > t.movedA {
		t.follow(t.wantBp, set)
	}
	t.follow(t.OwnBp, now)
}

func (t *Trainer) follow(bp int32, to unit.InstantMs) {
	if to <= t.movedA {
		return
	}
	most := float64(t.RampBpPerS) * float64(to.Sub(t.movedA)) / 1000
	t.isBp += math.Max(-most, math.Min(most, float64(bp)-t.isBp))
	t.movedA = to
}
