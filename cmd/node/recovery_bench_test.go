package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	"paceline/actors/competition/competitiongrain"
	"paceline/actors/leaderboard"
	"paceline/actors/machine"
	"paceline/domain/basis"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/internal/testkit"
	"paceline/persistence"
	"paceline/persistence/embedded"
)

// longRace is the journal of a race with 300 entries and 20 gates, of so many events.
func longRace(events int) []competition.Event {
	const entries, gates = 300, 20
	gun := unit.InstantMs(1_718_460_000_000)
	track := course.Track{Format: course.Distance, Sport: "run", Name: "long", DistanceMm: 42_195_000}
	for g := range gates {
		kind := geo.SplitGate
		if g == gates-1 {
			kind = geo.FinishGate
		}
		track.Gates = append(track.Gates, geo.Gate{ID: fmt.Sprint("g", g), Kind: kind, AtMm: unit.DistanceMm(42_195_000 * (g + 1) / gates)})
	}
	uuid := func(n uint32) string { return fmt.Sprintf("018f0000-0000-7000-8000-%012d", n) }
	all := []competition.Event{competition.Opened{Member: "n"}, competition.Created{Definition: competition.Definition{Organization: "default", Name: "Long", Track: track,
		Start: competition.MassStart, RankBy: leaderboard.Gun, CutoffAfter: 6 * unit.Hour, Grace: unit.Minute, AutoOfficialAfter: -1}}}
	for n := uint32(1); n <= entries; n++ {
		all = append(all, competition.EntryAdded{Entry: n, User: uuid(n), Category: "open"})
	}
	all = append(all, competition.StartListLocked{RulesVersion: 1})
	for n := uint32(1); n <= entries; n++ {
		all = append(all, competition.EntryBound{Entry: n, Training: uuid(n) + "/" + uuid(1000+n), Primary: uuid(2000 + n)})
	}
	all = append(all, competition.RaceStarted{GunAt: gun, CutoffAt: gun.Add(6 * unit.Hour)})
	for i := 0; len(all) < events; i++ {
		n, gate := uint32(i%entries)+1, uint32(i/entries)%gates
		all = append(all, competition.GateTaken{Entry: n, Gate: gate, At: gun.Us() + unit.InstantUs(i)*1_000_003},
			competition.ReportNoted{Entry: n, Basis: basis.Of(basis.StreamBasis{Device: uuid(n) + "/" + uuid(3000+n), Stream: uuid(2000 + n), FoldedThrough: uint64(i), FactsVersion: 3})})
	}
	return all[:events]
}

// storeRace writes the journal's versions from+1 … through, in groups.
func storeRace(b testing.TB, s persistence.Store, g id.Grain, events []competition.Event, from, through int) {
	for v := from; v < through; v += 10 {
		a := persistence.Append{Grain: g, Expected: uint64(v), AppendID: fmt.Sprint(v)}
		for i := v; i < min(v+10, through); i++ {
			kind, format, payload, err := competitioncodec.Encode(events[i])
			if err != nil {
				b.Fatal(err)
			}
			a.Records = append(a.Records, persistence.Record{Version: uint64(i) + 1, Kind: kind, Format: format, Payload: payload,
				Meta: persistence.Meta{At: 1_718_460_000_000, By: "grain:" + g.String()}})
			if _, reported := events[i].(competition.ReportNoted); !reported && i < 700 { // people's commands
				a.Records[i-v].Meta.CommandID = fmt.Sprintf("018f0000-0000-7000-9000-%012d", i)
			}
		}
		if ok, _, err := s.Append(context.Background(), a); err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
	if err := s.PutCursor(context.Background(), g, "outbox", uint64(through)); err != nil {
		b.Fatal(err)
	}
}

// live makes an activation and performs what it asks for until done says that it is enough.
func live(b testing.TB, s persistence.Store, g id.Grain, done func(op persistence.Op, result any) bool) {
	cfg := competitiongrain.Default()
	cfg.Grain, cfg.Activation, cfg.Member, cfg.Random, cfg.NewID = g, "a", "m", rand.Uint64, func(step.Now) string { return "x" }
	sh := competitiongrain.New(cfg)
	now := step.Now{Wall: 1_718_460_000_000, Node: 1_718_460_000_000, WallOfNode: func(t unit.InstantMs) unit.InstantMs { return t }}
	for todo := sh.Step(now, machine.StartMsg{}, nil); len(todo) > 0; todo = todo[1:] {
		d, io := todo[0].(persistence.Do)
		if _, row := d.Op.(persistence.PutWakeupOp); row || !io {
			continue // no more than reading
		}
		result, err := d.Op.Run(context.Background(), s, nil)
		if err != nil {
			b.Fatal(err)
		}
		todo = append(todo, sh.Step(now, persistence.Done{Tag: d.Tag, Result: result}, nil)...)
		if done(d.Op, result) {
			return
		}
	}
	b.Fatal("it never came")
}

// recovery is one activation from its first message until it has the state.
func recovery(b testing.TB, s persistence.Store, g id.Grain) {
	live(b, s, g, func(_ persistence.Op, result any) bool {
		read, ok := result.(persistence.JournalRead)
		return ok && !read.More
	})
}

// snapshotOf lets an activation read the journal and save the next one that.
func snapshotOf(b testing.TB, s persistence.Store, g id.Grain) {
	live(b, s, g, func(op persistence.Op, _ any) bool {
		put, ok := op.(persistence.PutSnapshotOp)
		if ok {
			b.Logf("a snapshot of %d bytes", len(put.Snapshot.Bytes))
		}
		return ok
	})
}

// BenchmarkRecovery is a race's grain with 10,000 events on the embedded store, by how old its snapshot is; "none" replays
// all. Bar: 5 ms with one of at most 1,000 events.
func BenchmarkRecovery(b *testing.B) {
	const events = 10_000
	journal := longRace(events)
	for _, old := range []int{0, 500, 1_000, events} {
		name := fmt.Sprint("snapshot ", old, " events old")
		if old == events {
			name = "no snapshot"
		}
		b.Run(name, func(b *testing.B) {
			cfg := embedded.Default()
			cfg.Folder = b.TempDir()
			rows, err := embedded.Open(b.Context(), cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer rows.Close()
			s, g := persistence.Over(rows), id.Of(id.Competition, "018f0000-0000-7000-8000-000000000001")
			storeRace(b, s, g, journal, 0, events-old)
			if old < events {
				snapshotOf(b, s, g)
			}
			storeRace(b, s, g, journal, events-old, events)
			b.ResetTimer()
			spent := testkit.CPU(b)
			for range b.N {
				recovery(b, s, g)
			}
			spent()
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/recovery")
		})
	}
}
