package hub_test

import (
	"testing"

	livev1 "paceline/api/gen/paceline/live/v1"
)

// TestEveryFrameSaysWhetherTheBoardIsStale: also one of which no row has changed, and a viewer who comes meanwhile
// hears it too.
func TestEveryFrameSaysWhetherTheBoardIsStale(t *testing.T) {
	r := start(t)
	all, top := r.subscribe(1, boardTopic, "", nobody), r.subscribe(2, boardTopic, "top:1", nobody)
	since := func(at int64) func(*livev1.Board, *livev1.BoardRow) {
		return func(head *livev1.Board, _ *livev1.BoardRow) { head.StaleSinceMs = at }
	}
	for i, at := range []int64{0, 1900, 1900, 0} {
		version := uint64(i + 1)
		r.step(update(t, 1, version, version-1, boardOfTwo(2000+250*int64(i), since(at))))
		late := r.subscribe(7, boardTopic, "", nobody)
		for name, v := range map[string]*viewer{"all": all, "top:1": top, "who has just come": late} {
			if v.take(); v.board.Head.GetStaleSinceMs() != at {
				t.Errorf("update %d: %s shows stale since %d, want %d", version, name, v.board.Head.GetStaleSinceMs(), at)
			}
		}
	}
	if all.snapshots != 1 || all.deltas != 2 {
		t.Errorf("%d snapshots, %d deltas, want one and two: a delta can say that the board is well again", all.snapshots, all.deltas)
	}
}
