//go:build !race

package cluster

import (
	"slices"
	"testing"
	"time"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
)

func TestStalls(t *testing.T) {
	var s stalls
	began := time.Now()
	for i := range 20 { // twice a second; b stands still from 4 s on, c comes at 7 s
		now := began.Add(time.Duration(i) * 500 * time.Millisecond)
		rows := []*clusterv1.NodeRow{{Id: "a", Beat: uint64(i / 2)}, {Id: "b", Beat: uint64(min(i, 8) / 2)}}
		if i >= 14 {
			rows = append(rows, &clusterv1.NodeRow{Id: "c", Beat: 1})
		}
		var want []string
		if now.Sub(began) >= 4*time.Second+stallAfter {
			want = append(want, "b")
		}
		if now.Sub(began) >= 7*time.Second+stallAfter {
			want = append(want, "c")
		}
		if got := s.of(rows, now); !slices.Equal(got, want) {
			t.Errorf("after %v: %v stand still, want %v", now.Sub(began), got, want)
		}
	}
}

// A member that is there answers; one that is not does not. On a busy machine an answer may come too late once.
func TestSilent(t *testing.T) {
	all, _ := several(t, 2)
	m := all[0].provider.(*members)
	other := all[1].Member()
	until(t, "nobody but nobody is silent", func() bool {
		return slices.Equal(m.silent([]string{other, "nobody", m.self.ID}), []string{"nobody"})
	})
}
