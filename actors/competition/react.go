package competition

import "paceline/domain/unit"

// Effect is what follows an event once it is committed.
type Effect interface{ isEffect() }

// Announce tells the feed.
type Announce struct{ Item FeedItem }

func (Announce) isEffect() {}

// React says what follows an event. That trainings are told and asked follows from the state, for it is repeated until
// they have answered, by whatever activation there is then.
func React(_ *State, ev Event) []Effect {
	if item, ok := FeedOf(ev); ok {
		return []Effect{Announce{item}}
	}
	return nil
}

// Timer is a "later" on the node clock.
type Timer struct {
	Reason string
	At     unit.InstantMs
}

// The timers' reasons.
const (
	TimerStart    = "start"
	TimerCutoff   = "cutoff"
	TimerGrace    = "grace"
	TimerOfficial = "official"
)

// Timers are what a race waits for by the clock.
func Timers(s *State) []Timer {
	switch s.Phase {
	case PhaseCountdown, PhaseRunning:
		var all []Timer
		if s.Phase == PhaseCountdown {
			all = append(all, Timer{TimerStart, s.GunAt})
		}
		if s.tally.unbound > 0 {
			all = append(all, Timer{TimerCutoff, s.CutoffAt})
		}
		return append(all, Timer{TimerGrace, s.CutoffAt.Add(s.Definition.Grace)})
	case PhaseProvisional:
		if after := s.Definition.AutoOfficialAfter; after >= 0 && !s.Settle.Open && s.Publishing == nil {
			return []Timer{{TimerOfficial, s.Result.At.Add(after)}}
		}
	default: // nothing comes by the clock
	}
	return nil
}
