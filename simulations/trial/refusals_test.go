package trial

import (
	"strings"
	"testing"

	"paceline/simulations/swarm"
)

// What a client is refused fails a trial, unless the code may appear, and so often.
func TestRefusals(t *testing.T) {
	for _, k := range []struct {
		name         string
		later, never map[string]int
		want         string // part of what has failed; empty: nothing has
		note         string
	}{
		{name: "nothing"},
		{name: "what belongs to coming back", later: map[string]int{"stream.opening": 64}, note: "64× stream.opening"},
		{name: "too much of it", later: map[string]int{"stream.opening": 65}, want: "stream.opening for now 65 times, at most 32 each"},
		{name: "both", later: map[string]int{"stream.opening": 1, "stream.gap": 16}, note: "16× stream.gap; 1× stream.opening"},
		{name: "sent back again and again", later: map[string]int{"stream.gap": 17}, want: "stream.gap for now 17 times, at most 8 each"},
		{name: "for now", later: map[string]int{"cluster.timeout": 1}, want: "refused with cluster.timeout for now, 1 times"},
		{name: "for good", never: map[string]int{"stream.gap": 2}, want: "saw stream.gap, 2 times"},
		{name: "for good, though it may appear for now", never: map[string]int{"stream.opening": 1}, want: "saw stream.opening"},
	} {
		o := &Outcome{}
		o.refusals(&swarm.Report{Later: k.later, Never: k.never}, 2)
		if failed := strings.Join(o.Failed, "; "); (failed == "") != (k.want == "") || !strings.Contains(failed, k.want) {
			t.Errorf("%s: %q, want %q", k.name, failed, k.want)
		}
		if notes := strings.Join(o.Notes, "; "); notes != k.note {
			t.Errorf("%s: noted %q, want %q", k.name, notes, k.note)
		}
	}
	for code, may := range mayBeRefused {
		if may.why == "" || may.each <= 0 {
			t.Errorf("%s may appear, and nobody says why and how often", code)
		}
	}
}
