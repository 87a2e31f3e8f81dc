package session

import (
	"slices"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// Why a client is throttled, beside too many samples.
var (
	// ErrSlow: frames have been under way for long; what is behind them does not keep up.
	ErrSlow = fault.Later("store.slow", "Storing takes long at the moment; keep your data and go on a little later.")
	// ErrNodeBusy: the frames under way of all connections are as many as this node has memory for.
	ErrNodeBusy = fault.Later("session.node_busy", "This node has too much under way; keep your data and go on a little later.")
	// ErrRequests: a client has asked for too much at once.
	ErrRequests = &fault.Fault{Kind: fault.Exhausted, Code: "session.requests", Retry: true,
		Message: "Too much of this connection is under way; wait for the answers."}
)

// pressure is what a session knows of a store that does not keep up: its own frames that nobody answers. While it is
// slow one frame at a time goes on, to see whether it still is; all others are dropped, and the client keeps them.
type pressure struct {
	under    []*under // frames on their way to what is durable, oldest first
	watching bool     // the timer is set
	slow     bool
}

type under struct{ at unit.InstantMs } // wall

func (p *pressure) begin(now step.Now) *under {
	u := &under{now.Wall}
	p.under = append(p.under, u)
	return u
}

func (p *pressure) end(u *under) {
	if i := slices.Index(p.under, u); i >= 0 {
		p.under = slices.Delete(p.under, i, i+1)
	}
}

// holds reports whether a new frame must wait.
func (p *pressure) holds() bool { return p.slow && len(p.under) > 0 }

// watchFrames asks to be called when the oldest frame has been under way for too long.
func (s *Session) watchFrames(now step.Now) []step.Out {
	p := &s.pressure
	if p.watching || p.slow || len(p.under) == 0 {
		return nil
	}
	p.watching = true
	return []step.Out{step.After{Key: keySlow, At: max(now.Wall, p.under[0].at.Add(s.cfg.SlowAfter))}}
}

func (s *Session) onSlowTick(now step.Now) []step.Out {
	p := &s.pressure
	p.watching = false
	if len(p.under) == 0 || now.Wall.Sub(p.under[0].at) < s.cfg.SlowAfter {
		return s.watchFrames(now)
	}
	p.slow = true
	return []step.Out{s.hold(now, ErrSlow)}
}

// stored notes that a frame is durable. One that was quick shows that the store keeps up again.
func (s *Session) stored(now step.Now, u *under) []step.Out {
	s.pressure.end(u)
	if !s.pressure.slow || now.Wall.Sub(u.at) >= s.cfg.SlowAfter {
		return nil
	}
	s.pressure.slow = false
	return []step.Out{throttle(float64(s.cfg.MaxSamplesPerS), now.Node, nil)}
}

// hold tells the client to keep its data for a while.
func (s *Session) hold(now step.Now, why *fault.Fault) step.Out {
	return throttle(0, nodeAfter(now, s.cfg.SlowHold), why)
}

// nodeAfter is what the node's clock will show after a while of wall time.
func nodeAfter(now step.Now, wall unit.DurationMs) unit.InstantMs {
	if now.WallOfNode == nil {
		return now.Node.Add(wall)
	}
	hour := now.WallOfNode(now.Node.Add(unit.Hour)).Sub(now.WallOfNode(now.Node)) // of the node's clock, by the wall
	return now.Node.Add(wall * unit.Hour / max(hour, 1))
}

func throttle(perS float64, until unit.InstantMs, why *fault.Fault) Frame {
	t := &livev1.Throttle{MaxSamplesPerS: perS, UntilMs: int64(until)}
	if why != nil {
		t.Reason = why.Code
	}
	return frame(&livev1.ServerMessage_Throttle{Throttle: t})
}

// mayAsk bounds the requests that are neither frames nor commands.
func (s *Session) mayAsk() error {
	if n := len(s.requests) - s.unacked - len(s.commands); n >= s.cfg.MaxRequests {
		return ErrRequests.With("%d are under way", n)
	}
	return nil
}
