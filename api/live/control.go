package live

import (
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/unit"
)

// Result is what equipment says to a setting.
type Result string

// The results. Limited: set as far as the machine lets.
const (
	Applied Result = "applied"
	Limited Result = "limited"
	Refused Result = "refused"
)

// OnControl takes what the node sets the stream's equipment to; the stream must have been opened with an offer. By
// c.ValidUntilMs, which is the node's clock and at most two seconds ahead, the equipment must go back to the rider's own
// setting, unless a newer one has come. What comes too late is dropped and not answered. f is called in the client's
// read loop and must not call the client. nil: every setting is refused.
func (s *Stream) OnControl(f func(c *livev1.Control) Result) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.onControl = f
}

// LateControls is how many settings came when they were over.
func (s *Stream) LateControls() int {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.lateControls
}

func (s *Stream) controlled(c *livev1.Control, nodeNow unit.InstantMs) {
	if nodeNow >= unit.InstantMs(c.ValidUntilMs) {
		s.lateControls++
		return
	}
	result := Refused
	if s.onControl != nil {
		result = s.onControl(c)
	}
	s.c.sendLocked(&livev1.ClientMessage{Message: &livev1.ClientMessage_ControlResult{ControlResult: &livev1.ControlResult{
		ControlId: c.ControlId, Result: string(result)}}})
}
