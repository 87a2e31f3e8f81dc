package live

import (
	"testing"

	livev1 "paceline/api/gen/paceline/live/v1"
)

// A setting is answered by what the equipment says; one that is over, or of another stream, by nothing.
func TestSettingsAreAnswered(t *testing.T) {
	k := startTalk(t)
	s := k.c.Stream(&livev1.OpenStream{StreamId: "s"}, nil)
	set := func(id, stream string, validMs int64) {
		k.hear(&livev1.ServerMessage{Message: &livev1.ServerMessage_Control{Control: &livev1.Control{ControlId: id, StreamId: stream,
			Target: &livev1.Control_InclineBp{InclineBp: 250}, ValidUntilMs: int64(k.c.ServerNow()) + validMs}}})
	}
	set("c1", "s", 60_000) // nobody takes it
	var taken []string
	s.OnControl(func(c *livev1.Control) Result {
		taken = append(taken, c.ControlId)
		return Limited
	})
	set("c2", "s", 60_000)
	set("c3", "s", -60_000)
	set("c4", "other", 60_000)
	var said []string
	for len(k.cn.out) > 0 {
		if r := (<-k.cn.out).GetControlResult(); r != nil {
			said = append(said, r.ControlId+" "+r.Result)
		}
	}
	if !equal(said, []string{"c1 refused", "c2 limited"}) || !equal(taken, []string{"c2"}) || s.LateControls() != 1 {
		t.Errorf("said %q, set %q, %d late", said, taken, s.LateControls())
	}
}
