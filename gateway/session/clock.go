package session

import (
	"google.golang.org/protobuf/proto"

	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/step"
	"paceline/gateway/auth"
)

// offers is how many measurements the smallest round trip is taken from.
const offers = 8

// clock is what is known about a stream's device clock. A gnss clock is right by itself.
type clock struct {
	kind   livev1.ClockKind
	known  bool  // a measurement was accepted
	offset int64 // of that: node clock minus device clock, ms
	asking bool
	ring   [offers]offer
	next   int
}

type offer struct {
	offsetMs int64
	rttMs    uint32 // 0: none
}

// measured takes an offer and returns the best of the last eight, and whether it tells something new: the first
// does, a later one if it is more than max(250 ms, 3 × its error) from the one before. The device's rules decide
// again, against what is journalled.
func (c *clock) measured(o offer) (best offer, errorMs uint32, news bool) {
	c.ring[c.next%offers] = o
	c.next++
	best = o
	for _, r := range c.ring {
		if r.rttMs > 0 && r.rttMs < best.rttMs {
			best = r
		}
	}
	errorMs = best.rttMs/2 + 1
	apart := best.offsetMs - c.offset
	if apart < 0 {
		apart = -apart
	}
	return best, errorMs, !c.known || apart > max(250, 3*int64(errorMs))
}

func (s *Session) onPing(now step.Now, p *livev1.Ping) []step.Out {
	if err := auth.Check(s.principal, auth.Ping, auth.Resource{}); err != nil {
		return []step.Out{errorOf(err)}
	}
	outs := []step.Out{frame(&livev1.ServerMessage_Pong{
		Pong: &livev1.Pong{T0Ms: p.T0Ms, T1Ms: int64(now.Node), T2Ms: int64(now.Node)}})}
	if p.StreamId == "" || p.RttMs == 0 {
		return outs
	}
	st, err := s.ours(auth.OfferClock, p.StreamId)
	if err != nil {
		return append(outs, streamError(err, p.StreamId))
	}
	// An offset that would make the clock implausible is not a measurement.
	if st.clock.kind == livev1.ClockKind_CLOCK_KIND_GNSS || p.OffsetMs > int64(s.cfg.ClockOff) || p.OffsetMs < -int64(s.cfg.ClockOff) {
		return outs
	}
	best, errorMs, news := st.clock.measured(offer{p.OffsetMs, p.RttMs})
	if !news || st.clock.asking {
		return outs
	}
	st.clock.asking = true
	return append(outs, s.ask(now, request{
		to: st.device, attempts: s.cfg.Attempts,
		msg: &devicev1.Clock{Call: s.call(), StreamId: p.StreamId, OffsetMs: best.offsetMs, ErrorMs: errorMs, Source: "ping"},
		done: func(_ step.Now, _ proto.Message, err error) []step.Out {
			st.clock.asking = false
			if err == nil {
				st.clock.known, st.clock.offset = true, best.offsetMs
			}
			return nil // a refused offer changes nothing; the next one is offered again
		},
	}))
}
