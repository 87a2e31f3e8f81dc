package competitiongrain

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"

	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/unit"
	"paceline/persistence"
)

// replica is what a node's hub keeps of a board.
type replica struct {
	t              testing.TB
	epoch, version uint64
	recovering     bool
	stale          int64
	state          livev1.RaceState
	rows           map[uint32]*livev1.BoardRow
	snapshots      int
	deltas         int
}

// take applies one update as a hub does: what does not follow is dropped.
func (r *replica) take(u *clusterv1.TopicUpdate) {
	if u.Epoch < r.epoch || u.Epoch == r.epoch && u.Version < r.version {
		return
	}
	var b livev1.Board
	if err := proto.Unmarshal(u.Content, &b); err != nil {
		r.t.Fatal(err)
	}
	if u.Base == 0 {
		r.rows = map[uint32]*livev1.BoardRow{}
		r.snapshots++
	} else {
		if u.Epoch != r.epoch || u.Base != r.version {
			r.t.Fatalf("delta on {%d %d}, replica at {%d %d}", u.Epoch, u.Base, r.epoch, r.version)
		}
		r.deltas++
	}
	for _, row := range b.Rows {
		r.rows[row.Entry] = row
	}
	r.epoch, r.version, r.recovering, r.state, r.stale = u.Epoch, u.Version, u.Recovering, b.State, b.StaleSinceMs
}

func (r *replica) row(entry uint32) *livev1.BoardRow {
	if row := r.rows[entry]; row != nil {
		return row
	}
	return &livev1.BoardRow{}
}

// watch makes a node interested and returns what it sees.
func (l *life) watch(node string) *replica {
	r := &replica{t: l.s.t, rows: map[uint32]*livev1.BoardRow{}}
	l.renew(node, r)
	return r
}

func (l *life) renew(node string, r *replica) {
	l.step(&clusterv1.Interest{Topic: "competition/race/board", Node: node, Epoch: r.epoch, Version: r.version}, nil)
	l.show(map[string]*replica{node: r})
}

// show hands the updates sent so far to the nodes' replicas.
func (l *life) show(nodes map[string]*replica) {
	kept := l.nodes[:0]
	for _, n := range l.nodes {
		if r := nodes[n.Node]; r != nil {
			r.take(n.Msg.(*clusterv1.TopicUpdate))
			continue
		}
		kept = append(kept, n)
	}
	l.nodes = kept
}

func TestDeltasMakeTheSameBoardAsASnapshot(t *testing.T) {
	s := newScene(t)
	l := s.live()
	d := definition()
	d.AutoOfficialAfter = 0
	gun := s.race(l, d, 6)
	a := l.watch("a")
	nodes := map[string]*replica{"a": a}
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 60 {
		n := rng.IntN(6) + 1
		f := s.training(n)
		far := int64(f.progress/1000) + int64(rng.IntN(300))
		switch {
		case far >= 5000 && len(f.gates) == 1:
			f.finished = true
			l.step(f.say(gun, 5000, 1, int64(900+i)), nil)
		case far >= 2500 && len(f.gates) == 0:
			l.step(f.say(gun, far, 0, int64(400+i)), nil)
		case far < 5000:
			f.at = gun.Add(unit.DurationMs(1000 * (i + 1)))
			l.step(f.say(gun, far), nil)
		}
		l.pass(unit.DurationMs(rng.IntN(400)))
		if i%10 == 0 {
			l.renew("a", a)
		}
		l.show(nodes)
	}
	l.pass(1000)
	l.show(nodes)
	b := l.watch("b")
	l.pass(1000)
	nodes["b"] = b
	l.show(nodes)
	if a.deltas < 20 || a.snapshots != 1 || b.snapshots != 1 {
		t.Errorf("a had %d deltas and %d snapshots, b %d snapshots", a.deltas, a.snapshots, b.snapshots)
	}
	if a.version != b.version || a.epoch != b.epoch || len(b.rows) != 6 {
		t.Fatalf("a at {%d %d}, b at {%d %d} with %d rows", a.epoch, a.version, b.epoch, b.version, len(b.rows))
	}
	for e, row := range b.rows {
		if !proto.Equal(row, a.rows[e]) {
			t.Errorf("entry %d: by deltas %v, by snapshot %v", e, a.rows[e], row)
		}
	}
}

// TestASnapshotDeclaresTheAudiences: a node that makes maps of a board must know what they may show, and says nothing
// by itself.
func TestASnapshotDeclaresTheAudiences(t *testing.T) {
	s := newScene(t)
	l := s.live()
	d := definition()
	d.Audiences.Entrant.Delay = 30 * unit.Second
	gun := s.race(l, d, 2)
	l.step(&clusterv1.Interest{Topic: "competition/race/board", Node: "a"}, nil)
	l.pass(1000)
	l.step(s.training(1).say(gun, 100), nil)
	l.pass(1000)
	want := []*clusterv1.TopicAudience{{}, {Audience: 1, Position: true, DelayMs: 30_000}, {Audience: 2, Position: true}}
	snapshots, deltas := 0, 0
	for _, n := range l.nodes {
		u := n.Msg.(*clusterv1.TopicUpdate)
		if u.Base != 0 {
			deltas++
			continue
		}
		snapshots++
		if !proto.Equal(u, &clusterv1.TopicUpdate{Topic: u.Topic, Epoch: u.Epoch, Version: u.Version, Content: u.Content, Recovering: u.Recovering, Audiences: want}) {
			t.Errorf("snapshot declares %v, want %v", u.Audiences, want)
		}
	}
	if snapshots == 0 || deltas == 0 {
		t.Errorf("%d snapshots, %d deltas: the test shows nothing", snapshots, deltas)
	}
}

func TestALostDeltaIsRepairedByTheNextRenewals(t *testing.T) {
	s := newScene(t)
	l := s.live()
	gun := s.race(l, definition(), 2)
	a := l.watch("a")
	nodes := map[string]*replica{"a": a}
	l.show(nodes)
	l.step(s.training(1).say(gun, 100), nil)
	l.pass(600)
	l.nodes = nil // lost on the way
	l.renew("a", a)
	l.pass(600)
	l.renew("a", a)
	l.pass(600)
	l.show(nodes)
	if a.snapshots != 2 || a.row(1).ProgressMm != 100_000 {
		t.Errorf("%d snapshots, entry 1 at %d mm", a.snapshots, a.row(1).ProgressMm)
	}
}

func TestInterestEndsByItself(t *testing.T) {
	s := newScene(t)
	l := s.live()
	gun := s.race(l, definition(), 1)
	l.watch("a")
	l.watch("b")
	l.step(&clusterv1.Interest{Topic: "competition/race/board", Node: "b", Stop: true}, nil)
	l.pass(16_000)
	l.nodes = nil
	l.step(s.training(1).say(gun, 100), nil)
	l.pass(2_000)
	if len(l.nodes) > 0 {
		t.Errorf("%d updates to nodes that do not want them", len(l.nodes))
	}
}

func TestGapsAreThoseAtOnePlace(t *testing.T) {
	s := newScene(t)
	l := s.live()
	gun := s.race(l, definition(), 3)
	a := l.watch("a")
	for sec := int64(0); sec <= 60; sec += 2 {
		for n, v := range map[int]int64{1: 5, 2: 4} { // metres a second
			f := s.training(n)
			f.at = gun.Add(unit.DurationMs(sec * 1000))
			l.step(f.say(gun, v*sec), nil)
		}
	}
	l.pass(1000)
	l.show(map[string]*replica{"a": a})
	// At 60 s the second is at 240 m, where the leader was at 48 s; the leader is at 300 m.
	if r := a.row(2); r.Place != 2 || r.GapMs != 12_000 || r.GapMm != 60_000 {
		t.Errorf("second: place %d, gap %d ms, %d mm; want 2, 12,000, 60,000", r.Place, r.GapMs, r.GapMm)
	}
	if r := a.row(1); r.Place != 1 || r.GapMs != 0 || r.PositionAtMs != int64(gun)+60_000 {
		t.Errorf("leader: %v", r)
	}
}

func TestPlacesBehindAnOfflineAthleteAreUnconfirmed(t *testing.T) {
	s := newScene(t)
	l := s.live()
	gun := s.race(l, definition(), 4)
	a := l.watch("a")
	nodes := map[string]*replica{"a": a}
	say := func(n int, m int64) { s.training(n).at = s.wall; l.step(s.training(n).say(gun, m), nil) }
	say(1, 400)
	say(2, 300)
	say(3, 200)
	say(4, 100)
	l.pass(500)
	l.show(nodes)
	spoke := s.wall.Add(-500)
	for i := range int64(20) { // 2 falls silent; 3 passes its last place
		say(1, 400+i*10)
		say(3, 200+i*10)
		say(4, 100+i)
		l.pass(1000)
		if i%5 == 0 {
			l.renew("a", a)
		}
		l.show(nodes)
	}
	if r := a.row(2); r.OfflineSinceMs != int64(spoke) || r.Unconfirmed {
		t.Errorf("the silent one: offline since %d, want %d; unconfirmed %v", r.OfflineSinceMs, spoke, r.Unconfirmed)
	}
	for n, want := range map[uint32]bool{1: false, 3: true, 4: true} {
		if got := a.row(n).Unconfirmed; got != want {
			t.Errorf("entry %d at place %d: unconfirmed %v, want %v", n, a.row(n).Place, got, want)
		}
	}
	if a.row(3).Place != 2 {
		t.Errorf("entry 3 has place %d, want 2: it has passed where the silent one was", a.row(3).Place)
	}
	say(2, 500)
	l.pass(500)
	l.show(nodes)
	for n := uint32(1); n <= 4; n++ {
		if r := a.row(n); r.Unconfirmed || r.OfflineSinceMs != 0 {
			t.Errorf("entry %d after the silent one is back: %v", n, r)
		}
	}
}

func TestANewEpochReplacesTheBoard(t *testing.T) {
	s := newScene(t)
	l := s.live()
	gun := s.race(l, definition(), 2)
	a := l.watch("a")
	s.training(1).at = gun.Add(1000)
	l.step(s.training(1).say(gun, 700), nil)
	l.pass(12_000) // a checkpoint
	l.show(map[string]*replica{"a": a})
	was := a.epoch
	for n := 1; n <= 2; n++ {
		s.training(n).mute = true
	}
	l = s.live()
	l.renew("a", a)
	l.pass(1_000)
	l.show(map[string]*replica{"a": a})
	if a.epoch <= was || !a.recovering || a.row(1).ProgressMm != 700_000 {
		t.Errorf("epoch %d after %d, recovering %v, entry 1 at %d mm: want the checkpoint's board, marked", a.epoch, was, a.recovering, a.row(1).ProgressMm)
	}
	for n := 1; n <= 2; n++ {
		s.training(n).mute = false
	}
	l.pass(2_000)
	l.show(map[string]*replica{"a": a})
	if a.recovering {
		t.Error("still recovering when all have reported")
	}
}

func TestFeedItemsFollowEachOther(t *testing.T) {
	s := newScene(t)
	l := s.live()
	s.prepare(l, definition(), 2)
	l.step(&clusterv1.Interest{Topic: "competition/race/feed", Node: "n"}, nil)
	gun := s.wall
	l.do(startAt(gun))
	s.finish(l, gun)
	var base uint64
	kinds := ""
	for i, n := range l.nodes {
		u := n.Msg.(*clusterv1.TopicUpdate)
		var item livev1.FeedItem
		if err := proto.Unmarshal(u.Content, &item); err != nil || u.Epoch != 1 || u.Version != item.Version || item.AtMs == 0 {
			t.Fatalf("update %v item %v: %v", u, &item, err)
		}
		if i > 0 && u.Base != base {
			t.Errorf("item %d follows %d, want %d", u.Version, u.Base, base)
		}
		base = u.Version
		kinds += item.Kind + " "
	}
	if want := "started gate gate finished gate gate finished provisional "; kinds != want {
		t.Errorf("feed %q, want %q", kinds, want)
	}
}

// bigRace is an activation of a running race with n bound entries, more than a start list takes.
func bigRace(t testing.TB, n int) (*scene, *life, unit.InstantMs) {
	s := newScene(t)
	s.unchecked = true
	gun := s.wall.Add(-1000)
	created, err := competition.Decide(competition.New(), competition.Create{Definition: definition()})
	if err != nil {
		t.Fatal(err)
	}
	events := append([]competition.Event{competition.Opened{Member: "m"}}, created...)
	for i := 1; i <= n; i++ {
		events = append(events, competition.EntryAdded{Entry: uint32(i), User: fmt.Sprintf("u%d", i)})
	}
	events = append(events, competition.StartListLocked{RulesVersion: 1})
	for i := 1; i <= n; i++ {
		events = append(events, competition.EntryBound{Entry: uint32(i), Training: fmt.Sprintf("u%d/w", i)})
	}
	events = append(events, competition.RaceStarted{GunAt: gun, CutoffAt: gun.Add(unit.Hour)})
	a := persistence.Append{Grain: s.grain}
	for i, e := range events {
		kind, format, payload, err := competitioncodec.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		a.Records = append(a.Records, persistence.Record{Version: uint64(i + 1), Kind: kind, Format: format, Payload: payload})
		if len(a.Records) == 200 || i == len(events)-1 {
			a.AppendID = fmt.Sprint("bulk", i)
			if ok, _, err := s.store.Append(context.Background(), a); !ok || err != nil {
				t.Fatal(ok, err)
			}
			a.Expected, a.Records = uint64(i+1), nil
		}
	}
	l := s.live()
	s.silent = true
	l.pass(300)
	for i := 1; i <= n; i++ {
		f := &fakeTraining{name: fmt.Sprintf("u%d/w", i), device: fmt.Sprintf("u%d/d", i), entry: uint32(i), binding: uint64(len(events)), at: s.wall}
		s.trainings[f.name] = f
		l.step(f.report(), nil)
	}
	l.log, l.sent, l.nodes = nil, nil, nil
	return s, l, gun
}

// BenchmarkReport is one report in, the board moved, the entry's place known.
func BenchmarkReport(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, l, gun := bigRace(b, n)
			rng := rand.New(rand.NewPCG(1, 2))
			reports := make([]*competitionv1.Report, n)
			for i := range reports {
				reports[i] = s.training(i+1).say(gun, 1)
			}
			now := s.now()
			b.ReportAllocs()
			for b.Loop() {
				r := reports[rng.IntN(n)]
				r.ProgressMm += int64(rng.IntN(30_000))
				r.Basis[0].FoldedThrough++
				l.sh.Step(now, r, nil)
				if l.sh.standing(r.Entry) == 0 {
					b.Fatal("entry lost")
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
		})
	}
}

// BenchmarkTick is one board tick in which everybody has moved: each line put in its place, gaps, and one encoded delta for
// all nodes.
func BenchmarkTick(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, l, gun := bigRace(b, n)
			reports := make([]*competitionv1.Report, n)
			for i := range reports {
				reports[i] = s.training(i+1).say(gun, int64(i%5000))
			}
			l.step(&clusterv1.Interest{Topic: "competition/race/board", Node: "a"}, nil)
			l.sh.board.interests[0].until = s.wall.Add(unit.Day)
			b.ReportAllocs()
			size := 0
			for b.Loop() {
				for _, r := range reports {
					r.ProgressMm += int64(r.Entry % 7 * 1000)
					r.ProgressAtMs += 250
					line := l.sh.board.line(r.Entry)
					line.progress, line.progressAt = unit.DistanceMm(r.ProgressMm), unit.InstantMs(r.ProgressAtMs)
					l.sh.touch(line)
				}
				s.wall = s.wall.Add(250)
				for _, o := range l.sh.tickBoard(s.now()) {
					size = len(contentOf(o))
				}
			}
			b.ReportMetric(float64(size)/float64(n), "B/entry")
		})
	}
}
