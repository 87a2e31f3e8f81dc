package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	liveclient "paceline/api/live"
	"paceline/domain/fault"
	"paceline/domain/unit"
	"paceline/simulations/swarm"
)

// newcomers are viewers who come while the store is away: some to the race, whose board the node holds, one to another race,
// which nobody has watched here.
type newcomers struct {
	other string // the other race

	mu       sync.Mutex
	refusals []error
	came     bool // a board of the other race
}

// otherRace is one that nobody watches.
func (x *trouble) otherRace() {
	x.t.Helper()
	x.new.other = must[managev1.CreateCompetitionResponse](x.t)(x.node.Competitions.CreateCompetition(x.t.Context(), connect.NewRequest(&managev1.CreateCompetitionRequest{
		Definition: &competitionv1.Definition{
			Name: "another one", Public: true, Start: competitionv1.StartKind_START_KIND_MASS, RankBy: competitionv1.RankBy_RANK_BY_GUN,
			Track:         &competitionv1.Track{Format: competitionv1.Format_FORMAT_DISTANCE, Sport: "running", DistanceMm: raceMm},
			CutoffAfterMs: 600_000, GraceMs: 30_000, ScheduledAtMs: int64(x.gun.Add(unit.Hour)),
		},
	}))).CompetitionId
}

// come: a newcomer to the race gets the board as it last was, in any cut, with the mark since when. Where no board is held,
// and cannot be looked up, he is told to try again.
func (x *trouble) come(silent bool) {
	x.t.Helper()
	for _, cut := range []string{"", "top:2"} {
		fresh, err := swarm.Snapshot(x.t.Context(), x.node, x.viewer.Topic, cut)
		if err != nil {
			x.t.Fatalf("a newcomer to %q: %v", cut, err)
		}
		before := x.viewer.Now()
		if silent && fresh.Head.GetStaleSinceMs() != before.Head.GetStaleSinceMs() {
			x.t.Errorf("a newcomer to %q is told that the board is stale since %d, the others since %d", cut, fresh.Head.GetStaleSinceMs(), before.Head.GetStaleSinceMs())
		}
		if different := fresh.Difference(before); silent && cut == "" && different != "" {
			x.t.Errorf("a newcomer sees another board: %s", different)
		}
	}
	if !x.unreadable {
		return
	}
	n := &x.new
	c := liveclient.New(liveclient.Config{URL: x.node.Live(), Name: "paceline-newcomer", Clock: x.node.Now, BackOffMax: time.Second})
	c.Subscribe("competition/"+n.other+"/board", "", func(liveclient.Update) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.came = true
	}, func(err error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.refusals = append(n.refusals, err)
	})
	go func(ctx context.Context) { _ = c.Run(ctx) }(x.t.Context())
	x.until("a newcomer to a board that nobody holds is told to try again", time.Minute, func() string {
		n.mu.Lock()
		defer n.mu.Unlock()
		if len(n.refusals) == 0 {
			return "he hears nothing"
		}
		if f := fault.Of(n.refusals[0]); f.Code != "view.away" || !f.Retry {
			return fmt.Sprintf("he is told %v", f)
		}
		return ""
	})
}

// arrive: having tried again, he has it.
func (x *trouble) arrive() {
	x.t.Helper()
	if !x.unreadable {
		return
	}
	x.until("who was told to try again has his board", time.Minute, func() string {
		x.new.mu.Lock()
		defer x.new.mu.Unlock()
		if !x.new.came {
			return fmt.Sprintf("he was told %v", x.new.refusals)
		}
		return ""
	})
}
