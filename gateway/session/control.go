package session

import (
	"strconv"

	"google.golang.org/protobuf/proto"

	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/auth"
)

// keptControls is how many of a stream's newest settings an answer may name: one that was overtaken on the way may
// have been applied all the same.
const keptControls = 4

// Faults of answers to a control.
var (
	ErrControlUnknown = fault.New(fault.NotFound, "control.unknown", "No such setting was sent on this connection, or newer ones have taken its place.")
	ErrControlLate    = fault.New(fault.Conflict, "control.late", "The setting was over before the answer came; it does not count.")
)

// given is a setting that was sent.
type given struct {
	id       string
	control  *livev1.Control
	answered bool
}

// onControl sends a setting to the equipment of a stream of ours, unless it is over. The id is of this connection.
func (s *Session) onControl(now step.Now, c *livev1.Control) []step.Out {
	st := s.streams[c.GetStreamId()]
	until := unit.InstantMs(c.GetValidUntilMs())
	if st == nil || !st.open || !st.spec.GetControl().GetEnabled() || now.Node >= until {
		return nil
	}
	s.controls++
	c = proto.Clone(c).(*livev1.Control)
	c.ControlId = "c" + strconv.FormatUint(s.controls, 10)
	if len(st.given) >= keptControls {
		st.given = append(st.given[:0], st.given[1:]...)
	}
	st.given = append(st.given, given{id: c.ControlId, control: c})
	return []step.Out{Newest{Key: "control/" + c.StreamId, Until: until,
		Msg: &livev1.ServerMessage{Message: &livev1.ServerMessage_Control{Control: c}}}}
}

// onControlResult passes the equipment's answer on. It is not answered itself, unless it is wrong; the same one again
// says nothing new.
func (s *Session) onControlResult(now step.Now, r *livev1.ControlResult) []step.Out {
	if err := auth.Check(s.principal, auth.AnswerControl, auth.Resource{}); err != nil {
		return []step.Out{errorOf(err)}
	}
	st, g := s.gave(r.ControlId)
	switch {
	case g == nil:
		return []step.Out{errorOf(ErrControlUnknown.With("%s", r.ControlId))}
	case g.answered:
		return nil
	case now.Node >= unit.InstantMs(g.control.ValidUntilMs):
		return []step.Out{errorOf(ErrControlLate.With("%s", r.ControlId))} // it ends nothing, least of all the stream
	}
	g.answered = true
	return []step.Out{s.ask(now, request{
		to: st.device, attempts: 1,
		msg:  &devicev1.Controlled{StreamId: st.spec.StreamId, Session: s.deps.ID, Control: g.control, Result: r.Result},
		done: func(step.Now, proto.Message, error) []step.Out { return nil }, // a lost one is not missed
	})}
}

// gave finds a setting by its id; nil: none that is remembered.
func (s *Session) gave(id string) (*stream, *given) {
	for _, st := range s.streams {
		for i := range st.given {
			if st.given[i].id == id {
				return st, &st.given[i]
			}
		}
	}
	return nil, nil
}
