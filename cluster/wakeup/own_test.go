package wakeup

import (
	"fmt"
	"testing"

	"paceline/domain/id"
	"paceline/domain/unit"
	"paceline/persistence"
)

// someRows puts rows due at that time, until each of the shards has one.
func someRows(r *rig, due unit.InstantMs) []persistence.Wakeup {
	var all []persistence.Wakeup
	has := map[int]bool{}
	for i := 0; len(has) < len(r.shards); i++ {
		w := persistence.Wakeup{Grain: id.Of(id.Competition, fmt.Sprint("race-", i)), Due: due, Reason: "start", Activation: "a"}
		if n := persistence.ShardOf(w.Grain); n < len(r.shards) && !has[n] {
			has[n] = true
			r.put(w)
			all = append(all, w)
		}
	}
	return all
}

// TestAnotherNodeTakesTheShards: a node dies, another one becomes the owner three seconds later: rows that came due in
// between are fired within a second of that, the others in time.
func TestAnotherNodeTakesTheShards(t *testing.T) {
	r := newRig(t, 8)
	r.start()
	r.run(20 * unit.Second)
	overdue := someRows(r, r.now.Add(15*unit.Second))
	r.run(14 * unit.Second)
	r.s = New(nil) // the first one is dead; the second owns nothing yet
	r.step(Start{})
	r.run(3 * unit.Second)
	for _, w := range overdue {
		if len(r.fired[w]) != 0 {
			t.Fatal("a shard that nobody owns was swept")
		}
	}
	took := r.now
	later := someRows(r, r.now.Add(12*unit.Second))
	r.step(Own{Shards: r.shards})
	r.run(60 * unit.Second)
	for _, w := range overdue {
		if at := r.fired[w]; len(at) == 0 || at[0].Sub(took) > unit.Second {
			t.Errorf("overdue row fired at %v, owned since %v", at, took)
		}
	}
	for _, w := range later {
		if at := r.fired[w]; len(at) == 0 || at[0].Sub(w.Due) > unit.Second {
			t.Errorf("row due %v fired at %v", w.Due, at)
		}
	}
}

// TestAShardThatIsAnothersIsLeft: who has given a shard away fires nothing of it, also not what a read under way finds.
func TestAShardThatIsAnothersIsLeft(t *testing.T) {
	r := newRig(t, 4)
	r.start()
	r.run(20 * unit.Second)
	r.latency = func() unit.DurationMs { return 1900 } // there is always a read under way
	rows := someRows(r, r.now.Add(11*unit.Second))
	r.run(10 * unit.Second)
	r.step(Own{Shards: r.shards[:1]})
	r.run(60 * unit.Second)
	for _, w := range rows {
		if fired, mine := len(r.fired[w]) > 0, persistence.ShardOf(w.Grain) == 0; fired != mine {
			t.Errorf("row of shard %d: fired %v", persistence.ShardOf(w.Grain), fired)
		}
	}
	r.step(Own{Shards: r.shards})
	r.run(15 * unit.Second)
	for _, w := range rows {
		if len(r.fired[w]) == 0 {
			t.Errorf("row of shard %d was not fired after it came back", persistence.ShardOf(w.Grain))
		}
	}
}

// TestWhatADeadNodeWasSent: a grain's node dies, and what is sent to the grain is lost until this node learns who has it
// now, and for a moment after that, until the new one knows it too. The row is fired again at once, not 30 s later, and
// soon again, also where the shard stays with its owner; a row that is gone is not.
func TestWhatADeadNodeWasSent(t *testing.T) {
	r := newRig(t, 8)
	r.start()
	r.step(Own{Shards: r.shards})
	r.run(unit.Minute)
	rows := someRows(r, r.now.Add(15*unit.Second))
	r.run(15*unit.Second + 300)
	for _, w := range rows {
		if len(r.fired[w]) != 1 {
			t.Fatalf("fired at %v", r.fired[w])
		}
	}
	done := rows[len(rows)-1]
	r.remove(done)
	r.run(2 * unit.Second)
	changed := r.now
	r.step(Own{Shards: r.shards})
	r.run(40 * unit.Second)
	for _, w := range rows[:len(rows)-1] {
		var since []unit.DurationMs
		for _, at := range r.fired[w][1:] {
			since = append(since, at.Sub(changed))
		}
		if len(since) < 3 || since[0] > 100 || since[1] > 2500 || len(since) > 7 {
			t.Errorf("fired again %v ms after the change, want at once, within 2.5 s, and ever less often", since)
		}
	}
	if at := r.fired[done]; len(at) != 1 {
		t.Errorf("a row that is gone was fired at %v", at)
	}
}
