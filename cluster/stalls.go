package cluster

import (
	"sync"
	"time"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
)

// reading is all rows at one moment, and which members did not answer then.
type reading struct {
	rows   []*clusterv1.NodeRow
	silent []string
}

// stallAfter is how long a row stands still until its member is asked whether it is there: well before the row is a dead
// member's, so that the answer is known by then.
const stallAfter = 2500 * time.Millisecond

// stalls remembers when rows moved last.
type stalls struct {
	rows map[string]stall
}

type stall struct {
	beat  uint64
	moved time.Time
}

// of takes the rows of now, and says whose have stood still.
func (s *stalls) of(rows []*clusterv1.NodeRow, now time.Time) []string {
	next := make(map[string]stall, len(rows))
	var still []string
	for _, r := range rows {
		one := stall{r.GetBeat(), now}
		if old, known := s.rows[r.GetId()]; known && old.beat == one.beat {
			one.moved = old.moved
		}
		if next[r.GetId()] = one; now.Sub(one.moved) >= stallAfter {
			still = append(still, r.GetId())
		}
	}
	s.rows = next
	return still
}

// silent asks those members, all at once: gossip probes one after the other, and takes longer the more of them are dead.
func (m *members) silent(asked []string) []string {
	answers := make([]bool, len(asked))
	var wg sync.WaitGroup
	for i, id := range asked {
		wg.Go(func() { answers[i] = id == m.self.ID || m.gossip.Answers(id) })
	}
	wg.Wait()
	var silent []string
	for i, id := range asked {
		if !answers[i] {
			silent = append(silent, id)
		}
	}
	return silent
}
