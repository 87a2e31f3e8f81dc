package hub_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/domain/unit"
	"paceline/gateway/auth"
	"paceline/gateway/hub"
	"paceline/gateway/wire"
)

func TestCuts(t *testing.T) {
	r := start(t)
	all := r.subscribe(1, boardTopic, "", nobody)
	top := r.subscribe(1, boardTopic, "top:2", nobody)
	women := r.subscribe(2, boardTopic, "category:w40", nobody)
	around := r.subscribe(2, boardTopic, "around:20", nobody)
	if n := all.take(); n != 0 {
		t.Fatalf("%d frames of an unknown board", n)
	}
	var entries []uint32
	for e := range uint32(20) {
		entries = append(entries, e+1)
	}
	r.step(update(t, 1, 10, 0, ranked(entries...)))
	if all.take(); len(all.board.Rows) != 20 || all.snapshots != 1 {
		t.Errorf("all: %d rows, %d snapshots", len(all.board.Rows), all.snapshots)
	}
	top.wants(map[uint32]uint32{1: 1, 2: 2})
	women.take()
	if len(women.board.Rows) != 10 || women.board.Rows[2] != nil {
		t.Errorf("category: %v", women.places())
	}
	around.wants(map[uint32]uint32{15: 15, 16: 16, 17: 17, 18: 18, 19: 19, 20: 20})

	// 3 overtakes 2: only the cuts that show one of them hear of it.
	r.step(update(t, 1, 11, 10, &livev1.Board{State: livev1.RaceState_RACE_STATE_RUNNING, CourseLengthMm: 10_000, Entries: 20, Rows: []*livev1.BoardRow{
		{Entry: 3, Place: 2, Category: category(3)}, {Entry: 2, Place: 3, Category: category(2)}}}))
	top.wants(map[uint32]uint32{1: 1, 3: 2})
	if top.deltas != 1 {
		t.Errorf("top: %d deltas, want 1 that removes entry 2", top.deltas)
	}
	if n := around.take(); n != 0 {
		t.Errorf("around 20 hears of places 2 and 3")
	}
	if n := all.take(); n != 1 || all.deltas != 1 {
		t.Errorf("all: %d frames", n)
	}
	// 20 wins: its surroundings are others now.
	rows := []*livev1.BoardRow{{Entry: 20, Place: 1, Category: category(20)}}
	for i, e := range []uint32{1, 3, 2, 4, 5} {
		rows = append(rows, &livev1.BoardRow{Entry: e, Place: uint32(i + 2), Category: category(e)})
	}
	for e := uint32(6); e < 20; e++ {
		rows = append(rows, &livev1.BoardRow{Entry: e, Place: e + 1, Category: category(e)})
	}
	r.step(update(t, 1, 12, 11, &livev1.Board{State: livev1.RaceState_RACE_STATE_RUNNING, CourseLengthMm: 10_000, Entries: 20, Rows: rows}))
	around.wants(map[uint32]uint32{20: 1, 1: 2, 3: 3, 2: 4, 4: 5, 5: 6})
	if around.deltas != 1 {
		t.Errorf("around: %d deltas, want 1: its last frame was two updates ago", around.deltas)
	}
	// An entry leaves the board.
	r.step(update(t, 1, 13, 12, &livev1.Board{State: livev1.RaceState_RACE_STATE_RUNNING, CourseLengthMm: 10_000, Entries: 20, Removed: []uint32{20}}))
	top.take()
	if _, there := top.board.Rows[20]; there {
		t.Error("a withdrawn entry stays in the cut")
	}
	around.wants(map[uint32]uint32{})
}

func TestUnknownCategoryIsRefused(t *testing.T) {
	r := start(t)
	r.subscribe(1, boardTopic, "", nobody)
	r.step(update(t, 1, 1, 0, ranked(1, 2)))
	r.subscribe(1, boardTopic, "category:m85", nobody)
	if !errors.Is(r.refuse, wire.ErrCut) {
		t.Errorf("refused with %v, want ErrCut", r.refuse)
	}
	// Before the board is known there is no telling; but not without end.
	r = start(t)
	for i := range 1000 {
		r.subscribe(hub.Conn(i), boardTopic, fmt.Sprintf("category:c%d", i), nobody)
	}
	if !errors.Is(r.refuse, wire.ErrCut) {
		t.Error("a thousand categories are served")
	}
}

func TestSlowViewerGetsTheNewestState(t *testing.T) {
	r := start(t)
	fast := r.subscribe(1, boardTopic, "", nobody)
	slow := r.subscribe(2, boardTopic, "", nobody)
	r.step(update(t, 1, 1, 0, ranked(1, 2, 3)))
	fast.take()
	slow.take()
	for v := uint64(2); v <= 50; v++ {
		r.step(update(t, 1, v, v-1, &livev1.Board{State: livev1.RaceState_RACE_STATE_RUNNING, CourseLengthMm: 10_000, Entries: 3,
			Rows: []*livev1.BoardRow{{Entry: uint32(v%3) + 1, Place: uint32(v%3) + 1, ProgressMm: int64(v), Category: category(uint32(v%3) + 1)}}}))
		fast.take()
	}
	if fast.deltas != 49 {
		t.Errorf("fast: %d deltas, want 49", fast.deltas)
	}
	if n := slow.take(); n != 1 || slow.snapshots != 2 || slow.deltas != 0 {
		t.Errorf("slow: %d frames, %d snapshots, want one snapshot of the newest", n, slow.snapshots)
	}
	for e, row := range fast.board.Rows {
		if !proto.Equal(row, slow.board.Rows[e]) {
			t.Errorf("entry %d: slow has %v, fast %v", e, slow.board.Rows[e], row)
		}
	}
	r.step(update(t, 1, 51, 50, &livev1.Board{State: livev1.RaceState_RACE_STATE_RUNNING, CourseLengthMm: 10_000, Entries: 3, Rows: []*livev1.BoardRow{{Entry: 1, Place: 1, Category: category(1)}}}))
	if slow.take(); slow.deltas != 1 {
		t.Error("a viewer that has caught up gets no deltas again")
	}
}

// TestSameBytesToAll: a cut is encoded once for each encoding, whoever takes it.
func TestSameBytesToAll(t *testing.T) {
	r := start(t)
	var slots []*hub.Slot
	for i := range 100 {
		slots = append(slots, r.subscribe(hub.Conn(i), boardTopic, "top:3", nobody).slot)
	}
	r.step(update(t, 1, 1, 0, ranked(1, 2, 3)))
	for _, e := range []wire.Encoding{wire.Proto, wire.JSON} {
		var first []byte
		for i, s := range slots {
			if i%2 != int(e) {
				continue
			}
			b := s.Take(e).Bytes
			if first == nil {
				first = b
			}
			if &b[0] != &first[0] {
				t.Fatal("two viewers of a cut get two encodings")
			}
		}
	}
}

func TestHubThatIsBehindIsSilent(t *testing.T) {
	r := start(t)
	ahead := newViewer(t, 3, 100)
	r.subscribeSlot(1, boardTopic, "", nobody, ahead)
	other := newViewer(t, 3, 90)
	r.subscribeSlot(2, boardTopic, "", nobody, other)
	r.step(update(t, 3, 95, 0, ranked(1, 2)))
	if n := ahead.take(); n != 0 {
		t.Errorf("a viewer at 100 got %d frames of a replica at 95", n)
	}
	if n := other.take(); n != 1 {
		t.Errorf("a viewer at 90 got %d frames", n)
	}
	r.step(update(t, 3, 101, 95, &livev1.Board{Entries: 2, CourseLengthMm: 10_000, State: livev1.RaceState_RACE_STATE_RUNNING, Rows: []*livev1.BoardRow{{Entry: 2, Place: 1}, {Entry: 1, Place: 2}}}))
	ahead.wants(map[uint32]uint32{2: 1, 1: 2})
	if ahead.snapshots != 1 {
		t.Error("a viewer from elsewhere must get a snapshot")
	}
	// A viewer that is exactly here needs nothing, and goes on with deltas.
	here := newViewer(t, 3, 101)
	here.board.Rows = map[uint32]*livev1.BoardRow{1: {Entry: 1, Place: 2}, 2: {Entry: 2, Place: 1}}
	r.subscribeSlot(3, boardTopic, "", nobody, here)
	if n := here.take(); n != 0 {
		t.Errorf("%d frames for a viewer that has everything", n)
	}
	r.step(update(t, 3, 102, 101, &livev1.Board{Entries: 2, CourseLengthMm: 10_000, State: livev1.RaceState_RACE_STATE_RUNNING, Rows: []*livev1.BoardRow{{Entry: 1, Place: 1}, {Entry: 2, Place: 2}}}))
	here.wants(map[uint32]uint32{1: 1, 2: 2})
	if here.deltas != 1 || here.snapshots != 0 {
		t.Errorf("%d deltas, %d snapshots, want a delta", here.deltas, here.snapshots)
	}
}

func TestEpochs(t *testing.T) {
	r := start(t)
	v := r.subscribe(1, boardTopic, "", nobody)
	r.step(update(t, 5, 40, 0, ranked(1, 2)))
	v.wants(map[uint32]uint32{1: 1, 2: 2})
	r.step(update(t, 4, 99, 0, ranked(2, 1))) // an activation that has lost
	v.wants(map[uint32]uint32{1: 1, 2: 2})
	r.step(update(t, 4, 41, 40, ranked(2, 1)))
	v.wants(map[uint32]uint32{1: 1, 2: 2})
	late := r.subscribe(2, boardTopic, "", nobody)
	late.wants(map[uint32]uint32{1: 1, 2: 2})
	if s := r.h.Standing("race", 1); s.GetPlace() != 1 || s.Epoch != 5 {
		t.Errorf("Standing = %v, want place 1 of epoch 5", s)
	}
	r.interests()
	r.step(update(t, 6, 41, 40, ranked(2, 1))) // a delta of an epoch whose snapshot did not come
	v.wants(map[uint32]uint32{1: 1, 2: 2})
	if len(r.interests()) != 1 {
		t.Error("the snapshot of the new epoch is not asked for")
	}
	u := update(t, 6, 3, 0, ranked(2, 1))
	u.Recovering = true
	r.step(u)
	v.wants(map[uint32]uint32{2: 1, 1: 2})
	if !v.recovering || v.epoch != 6 || v.version != 3 || v.snapshots != 2 {
		t.Errorf("after the new epoch: {%d %d}, recovering %v, %d snapshots", v.epoch, v.version, v.recovering, v.snapshots)
	}
	r.step(update(t, 6, 4, 3, &livev1.Board{Entries: 2, CourseLengthMm: 10_000, State: livev1.RaceState_RACE_STATE_RUNNING}))
	if v.take(); v.recovering {
		t.Error("the board is still marked recovering")
	}
}

// TestAnOlderBoardOfTheSameEpochIsDropped: also one that was recovering still and has been overtaken on its way.
func TestAnOlderBoardOfTheSameEpochIsDropped(t *testing.T) {
	r := start(t)
	v := r.subscribe(1, boardTopic, "", nobody)
	recovering := func(version, base uint64, b *livev1.Board) *clusterv1.TopicUpdate {
		u := update(t, 5, version, base, b)
		u.Recovering = true
		return u
	}
	r.step(recovering(40, 0, ranked(1, 2)))
	if v.take(); !v.recovering {
		t.Fatal("the board is not marked recovering")
	}
	r.step(update(t, 5, 42, 40, ranked(2, 1)))
	v.wants(map[uint32]uint32{2: 1, 1: 2})
	for name, old := range map[string]*clusterv1.TopicUpdate{"snapshot": recovering(41, 0, ranked(1, 2)), "delta": recovering(41, 40, ranked(1, 2))} {
		r.interests()
		r.step(old)
		if n := v.take(); n != 0 || v.recovering || v.version != 42 {
			t.Errorf("an older %s made %d frames: version %d, recovering %v", name, n, v.version, v.recovering)
		}
		v.wants(map[uint32]uint32{2: 1, 1: 2})
		if n := len(r.interests()); n != 0 {
			t.Errorf("after an older %s the board is asked for again", name)
		}
	}
	r.step(update(t, 5, 43, 42, ranked(1, 2)))
	v.wants(map[uint32]uint32{1: 1, 2: 2})
}

func TestLostUpdateIsAskedForOnce(t *testing.T) {
	r := start(t)
	v := r.subscribe(1, boardTopic, "", nobody)
	if i := r.interests(); len(i) != 1 || i[0].Topic != boardTopic || i[0].Node != "n1" || i[0].Version != 0 {
		t.Fatalf("interests = %v", i)
	}
	r.step(update(t, 1, 5, 4, ranked(1))) // a delta before any snapshot
	r.step(update(t, 1, 6, 5, ranked(1)))
	if i := r.interests(); len(i) != 1 {
		t.Fatalf("interests = %v, want one", i)
	}
	r.pass(unit.Second)
	r.step(update(t, 1, 10, 0, ranked(1, 2)))
	r.step(update(t, 1, 12, 11, ranked(2, 1)))
	if i := r.interests(); len(i) != 1 || i[0].Version != 0 || i[0].Epoch != 0 {
		t.Fatalf("interests = %v, want one that has nothing", i)
	}
	r.pass(5 * unit.Second)
	if i := r.interests(); len(i) != 1 || i[0].Version != 10 || i[0].Epoch != 1 {
		t.Fatalf("interests = %v, want the renewal from 10", i)
	}
	v.wants(map[uint32]uint32{1: 1, 2: 2})
	r.step(update(t, 1, 12, 0, ranked(2, 1)))
	v.wants(map[uint32]uint32{2: 1, 1: 2})
	r.step(update(t, 1, 12, 0, ranked(2, 1))) // a copy
	if n := v.take(); n != 0 {
		t.Error("a copy of an update makes a frame")
	}
	r.pass(unit.Second)
	r.step(hub.Resync{Topic: boardTopic})
	if len(r.interests()) != 1 {
		t.Error("updates lost on the way are not asked for")
	}
	bad := update(t, 1, 13, 12, nil)
	bad.Content = []byte{0xff}
	r.pass(unit.Second)
	r.interests()
	r.step(bad)
	if len(r.interests()) != 1 {
		t.Error("an update that cannot be read is not asked for again")
	}
}

func TestInterestIsRenewedAndEnds(t *testing.T) {
	r := start(t)
	r.subscribe(1, boardTopic, "", nobody)
	r.step(hub.Follow{Conn: 2, Competition: "race"})
	r.step(hub.Follow{Conn: 2, Competition: "race"})
	r.interests()
	for range 3 {
		r.pass(5 * unit.Second)
		if i := r.interests(); len(i) != 1 || i[0].Stop {
			t.Fatalf("interests = %v, want one", i)
		}
	}
	r.step(hub.Gone{Conn: 1})
	r.pass(5 * unit.Second)
	if i := r.interests(); len(i) != 1 || i[0].Stop {
		t.Fatalf("interests = %v: an athlete still follows", i)
	}
	r.step(hub.Gone{Conn: 2})
	r.step(hub.Gone{Conn: 2})
	r.pass(5 * unit.Second)
	if i := r.interests(); len(i) != 1 || !i[0].Stop {
		t.Fatalf("interests = %v, want the last one", i)
	}
	r.pass(5 * unit.Second)
	if i := r.interests(); len(i) != 0 || len(r.timers) != 0 {
		t.Fatalf("interests = %v, timers = %v, want rest", i, r.timers)
	}
	r.step(update(t, 1, 1, 0, ranked(1))) // late
	if s := r.h.Standing("race", 1); s != nil {
		t.Errorf("Standing = %v of a race that nobody follows", s)
	}
}

func TestStanding(t *testing.T) {
	r := start(t)
	r.step(hub.Follow{Conn: 1, Competition: "race"})
	if s := r.h.Standing("race", 2); s != nil {
		t.Errorf("Standing before the board = %v", s)
	}
	b := ranked(7, 2, 9)
	b.Rows = append(b.Rows, &livev1.BoardRow{Entry: 4, ProgressMm: 100})
	r.step(update(t, 3, 8, 0, b))
	s := r.h.Standing("race", 2)
	if s.GetPlace() != 2 || s.GapAheadMs != 1000 || s.GapBehindMs != 1000 || s.ToGoMm != 5010 || s.Epoch != 3 || s.Version != 8 || s.CompetitionId != "race" {
		t.Errorf("Standing(2) = %v", s)
	}
	if s := r.h.Standing("race", 7); s.GetGapAheadMs() != 0 || s.GapBehindMs != 1000 {
		t.Errorf("Standing(7) = %v", s)
	}
	if s := r.h.Standing("race", 9); s.GetGapBehindMs() != 0 {
		t.Errorf("Standing(9) = %v: behind it nobody has a place", s)
	}
	if s := r.h.Standing("race", 4); s.GetPlace() != 0 || s.GetToGoMm() != 9900 {
		t.Errorf("Standing(4) = %v", s)
	}
	if r.h.Standing("race", 99) != nil || r.h.Standing("other", 2) != nil {
		t.Error("a place for nobody")
	}
}

func TestPositionsAreThinned(t *testing.T) {
	r := start(t)
	v := r.subscribe(1, "competition/race/positions", "", nobody)
	r.step(update(t, 1, 1, 0, ranked(1, 2)))
	if v.take(); len(v.positions) != 2 {
		t.Fatalf("positions = %v", v.positions)
	}
	frames := 0
	for n := uint64(2); n < 42; n++ { // 4 Hz for 10 s
		r.pass(250)
		r.step(update(t, 1, n, n-1, &livev1.Board{State: livev1.RaceState_RACE_STATE_RUNNING, CourseLengthMm: 10_000, Entries: 2,
			Rows: []*livev1.BoardRow{{Entry: 1, Place: 1, ProgressMm: int64(n)}}}))
		frames += v.take()
	}
	if frames < 9 || frames > 11 {
		t.Errorf("%d frames in 10 s, want about 10", frames)
	}
	r.pass(2 * unit.Second)
	if v.take(); v.positions[1].ProgressMm != 41 {
		t.Errorf("the last position is %d, want 41: the last change must not stay behind", v.positions[1].ProgressMm)
	}
}

// Boards are public and say how far somebody is; where that is on the ground has an audience of its own.
func TestNobodyIsShownOnTheGround(t *testing.T) {
	r := start(t)
	board := r.subscribe(1, "competition/race/board", "", nobody)
	places := r.subscribe(2, "competition/race/positions", "", nobody)
	for n := uint64(1); n < 4; n++ {
		b := ranked(1, 2)
		for _, row := range b.Rows {
			row.ProgressMm, row.LatE7, row.LonE7 = int64(n), 475_012_345, 85_067_890
		}
		r.step(update(t, 1, n, n-1, b))
		r.pass(unit.Second)
		board.take()
		places.take()
	}
	for e, row := range board.board.Rows {
		if row.LatE7 != 0 || row.LonE7 != 0 {
			t.Errorf("the board shows entry %d at %d, %d", e, row.LatE7, row.LonE7)
		}
	}
	if len(places.positions) != 2 {
		t.Fatalf("positions = %v", places.positions)
	}
	for e, row := range places.positions {
		if row.LatE7 != 0 || row.LonE7 != 0 || row.ProgressMm == 0 {
			t.Errorf("the map shows entry %d at %d, %d after %d mm", e, row.LatE7, row.LonE7, row.ProgressMm)
		}
	}
}

func TestWorkout(t *testing.T) {
	r := start(t)
	v := r.subscribe(1, "workout/w1", "", nobody)
	if i := r.interests(); len(i) != 1 || i[0].Topic != "workout/w1" {
		t.Fatalf("interests = %v", i)
	}
	send := func(epoch, version uint64, hr int32) {
		content, err := proto.Marshal(&livev1.Workout{WorkoutId: "w1", HeartRateBpm: hr})
		if err != nil {
			t.Fatal(err)
		}
		r.step(&clusterv1.TopicUpdate{Topic: "workout/w1", Epoch: epoch, Version: version, Content: content})
	}
	send(1, 5, 140)
	send(1, 6, 141)
	send(1, 4, 90)
	if n := v.take(); n != 1 || v.workout.HeartRateBpm != 141 {
		t.Errorf("%d frames, heart rate %d, want the newest", n, v.workout.GetHeartRateBpm())
	}
	for _, lost := range []string{"workout/w1", ""} { // the grain believes that it was sent, until it hears what is here
		r.step(hub.Resync{Topic: lost})
		if i := r.interests(); len(i) != 1 || i[0].Epoch != 1 || i[0].Version != 6 {
			t.Errorf("interests after a loss of %q = %v, want one from {1 6}", lost, i)
		}
	}
	r.step(hub.Unsubscribe{Conn: 1, Topic: wire.Topic{Kind: wire.Workout, ID: "w1"}})
	send(1, 7, 150)
	if n := v.take(); n != 0 {
		t.Error("an ended subscription goes on")
	}
	if i := r.interests(); len(i) != 1 || !i[0].Stop {
		t.Errorf("interests = %v, want the end", i)
	}
}

// TestWorkoutOfTheSameID: who opens a workout under the id of somebody else's sees nothing of that one.
func TestWorkoutOfTheSameID(t *testing.T) {
	r := start(t)
	r.subscribe(1, "workout/w1", "", nobody)
	mallory := newViewer(t, 0, 0)
	r.step(hub.Subscribe{Conn: 2, Topic: wire.Topic{Kind: wire.Workout, ID: "w1"}, Training: "mallory/w1", Slot: mallory.slot})
	if !errors.Is(r.refuse, wire.ErrTopic) {
		t.Errorf("refused with %v, want ErrTopic", r.refuse)
	}
	r.step(&clusterv1.TopicUpdate{Topic: "workout/w1", Epoch: 1, Version: 1})
	if n := mallory.take(); n != 0 {
		t.Error("mallory sees ann's workout")
	}
}

func TestRosterIsRedactedForEachViewer(t *testing.T) {
	r := start(t)
	people := hub.People{Version: 4, Rows: []hub.Person{
		{Entry: 1, UserID: "ann", Name: "Ann", Visibility: userv1.Visibility_VISIBILITY_PUBLIC},
		{Entry: 2, UserID: "bob", Name: "Bob", Visibility: userv1.Visibility_VISIBILITY_ENTRANTS, Club: "TV"},
		{Entry: 3, UserID: "cat", Name: "Cat", Visibility: userv1.Visibility_VISIBILITY_PRIVATE},
		{Entry: 4, UserID: "kid", Name: "Kid", Visibility: userv1.Visibility_VISIBILITY_PUBLIC, Minor: true},
		{Entry: 5, UserID: "gone"},
	}}
	athlete := func(id string) auth.Principal { return auth.Principal{Role: auth.Athlete, ID: id} }
	viewers := map[string]*viewer{}
	want := map[string][]string{
		"nobody":   {"Ann", "Athlete 2", "Athlete 3", "Athlete 4", "Athlete 5"},
		"stranger": {"Ann", "Athlete 2", "Athlete 3", "Athlete 4", "Athlete 5"},
		"ann":      {"Ann", "Bob", "Athlete 3", "Kid", "Athlete 5"},
		"bob":      {"Ann", "Bob", "Athlete 3", "Kid", "Athlete 5"},
		"cat":      {"Ann", "Bob", "Cat", "Kid", "Athlete 5"},
		"operator": {"Ann", "Bob", "Cat", "Kid", "Athlete 5"},
		"watch":    {"Ann", "Bob", "Athlete 3", "Kid", "Athlete 5"},
	}
	as := map[string]auth.Principal{"nobody": nobody, "stranger": athlete("zoe"), "ann": athlete("ann"), "bob": athlete("bob"), "cat": athlete("cat"),
		"operator": {Role: auth.Operator, ID: "ops"}, "watch": {Role: auth.Device, ID: "ann/watch"}}
	conn := hub.Conn(0)
	for name, p := range as {
		conn++
		viewers[name] = r.subscribe(conn, "competition/race/roster", "", p)
	}
	if len(r.reads) != 1 {
		t.Fatalf("%d reads, want one for all viewers", len(r.reads))
	}
	r.step(hub.RosterRead{Competition: "race", People: people})
	for name, v := range viewers {
		v.take()
		var names []string
		for _, row := range v.roster {
			names = append(names, row.Name)
		}
		if !reflect.DeepEqual(names, want[name]) {
			t.Errorf("%s sees %v, want %v", name, names, want[name])
		}
		for _, row := range v.roster {
			if row.Name[0:2] == "At" && (row.Club != "" || row.Flag != "") {
				t.Errorf("%s sees the club of entry %d", name, row.Entry)
			}
		}
	}
	// Erased: the poll finds a higher version.
	people.Version = 5
	people.Rows = append([]hub.Person(nil), people.Rows...)
	people.Rows[0] = hub.Person{Entry: 1, UserID: "ann"}
	r.reads = nil
	r.pass(unit.Second)
	if len(r.reads) != 1 {
		t.Fatalf("%d reads after a poll, want 1", len(r.reads))
	}
	r.step(hub.RosterRead{Competition: "race", People: people})
	for name, v := range viewers {
		if v.take(); v.roster[0].Name != "Athlete 1" {
			t.Errorf("%s still sees %s", name, v.roster[0].Name)
		}
	}
	// Somebody enters: the board says so, the roster is read at once.
	r.reads = nil
	r.subscribe(50, boardTopic, "", nobody)
	r.step(update(t, 1, 1, 0, ranked(1, 2)))
	if len(r.reads) != 1 {
		t.Errorf("%d reads after a new entry, want 1", len(r.reads))
	}
	// The same version again says nothing new.
	r.step(hub.RosterRead{Competition: "race", People: people})
	if n := viewers["ann"].take(); n != 0 {
		t.Error("an unchanged roster is sent again")
	}
	// A big roster is read seldom.
	people.Version, people.Rows = 6, make([]hub.Person, 5000)
	r.step(hub.RosterRead{Competition: "race", People: people})
	r.reads = nil
	reads := 0
	for range 30 {
		r.pass(unit.Second)
		for range r.reads {
			reads++
			r.step(hub.RosterRead{Competition: "race", People: people})
		}
		r.reads = nil
	}
	if reads != 3 && reads != 2 {
		t.Errorf("5000 people are read %d times in 30 s, want about 3", reads)
	}
}

// TestLostParcelsAskForEverything: what another node sent and never came may have been of any topic.
func TestLostParcelsAskForEverything(t *testing.T) {
	r := start(t)
	r.subscribe(1, boardTopic, "", nobody)
	r.interests()
	r.pass(unit.Second)
	r.interests()
	r.step(hub.Resync{})
	if i := r.interests(); len(i) != 1 || i[0].Version != 0 {
		t.Errorf("interests = %v, want one that has nothing", i)
	}
	r.step(hub.MembersChanged{})
	if len(r.interests()) != 1 {
		t.Error("not said again at once after a change of members")
	}
}
