package split

import (
	"slices"
	"testing"
)

// A member that does not answer gossip and whose row stands still is dead, also before gossip gives it up; one of the
// two alone says nothing.
func TestSuspectsWhoseRowsStandStill(t *testing.T) {
	all := []string{"a", "b", "c"}
	for _, c := range []struct {
		name     string
		suspects []string
		stands   []string // whose rows stand still from 10 s on
		want     []string // members 4.5 s later
	}{
		{"nothing is wrong", nil, nil, all},
		{"two are killed", []string{"b", "c"}, []string{"b", "c"}, []string{"a"}},
		{"one is killed", []string{"b"}, []string{"b"}, []string{"a", "c"}},
		{"two answer late, but their rows move", []string{"b", "c"}, nil, all},
		{"two rows stand still, but they answer", nil, []string{"b", "c"}, all},
		{"all rows stand still: the store is slow", []string{"b"}, all, all},
	} {
		s := New("a", "a:1")
		beats := map[string]uint64{}
		var last Verdict
		for now := int64(0); now <= 14_500; now += 500 {
			in := Input{NowMs: now, Seen: all, Rows: []Row{}}
			for _, m := range all {
				if now%1000 == 0 && (now < 10_000 || !slices.Contains(c.stands, m)) {
					beats[m]++
				}
				in.Rows = append(in.Rows, Row{Member: m, Address: m + ":1", Beat: beats[m], Sees: all, Serves: now > 0})
			}
			if now >= 10_500 {
				in.Suspects = c.suspects
			}
			last = s.Decide(in)
			if now < 13_000 && (last.Kind != Serve || len(last.Members) != 3) && now > 2_000 {
				t.Fatalf("%s: at %d ms %v %v", c.name, now, last.Kind, last.Members)
			}
		}
		if last.Kind != Serve || !slices.Equal(last.Members, c.want) {
			t.Errorf("%s: %v %v, want %v", c.name, last.Kind, last.Members, c.want)
		}
	}
	// Without rows for as long as that, nobody is taken for dead.
	s := New("a", "a:1")
	for now := int64(0); now <= 20_000; now += 500 {
		in := Input{NowMs: now, Seen: all}
		if now < 10_000 {
			in.Rows = []Row{}
			for _, m := range all {
				in.Rows = append(in.Rows, Row{Member: m, Address: m + ":1", Beat: uint64(now / 1000), Sees: all, Serves: true})
			}
		} else {
			in.Suspects = []string{"b", "c"}
		}
		if v := s.Decide(in); now > 2_000 && (v.Kind != Serve || len(v.Members) != 3) {
			t.Fatalf("the store is away: at %d ms %v %v", now, v.Kind, v.Members)
		}
	}
}
