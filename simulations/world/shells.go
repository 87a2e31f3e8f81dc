package world

import (
	"fmt"
	"strings"

	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	"paceline/actors/competition/competitiongrain"
	"paceline/actors/device/devicegrain"
	"paceline/actors/machine"
	"paceline/actors/training/traininggrain"
	"paceline/domain/id"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/persistence"
)

// newStepper makes the node's own shell of a grain.
func (w *World) newStepper(n *node, g id.Grain, activation string) machine.Stepper {
	ids := 0
	newID := func(step.Now) string { ids++; return fmt.Sprintf("%s-%d", activation, ids) }
	every := w.faults.SnapshotEvery
	if every == 0 {
		every = 5 // a race of the world has few events
	}
	switch g.Kind {
	case id.Device:
		return devicegrain.New(devicegrain.Config{Grain: g, Activation: activation, Member: n.name,
			Random: w.rand.Uint64, NewID: newID, SnapshotEvery: every})
	case id.Training:
		return traininggrain.New(traininggrain.Config{Grain: g, Activation: activation, Member: n.name,
			Random: w.rand.Uint64, NewID: newID, Numbers: traininggrain.Default(), SnapshotEvery: every})
	case id.Competition:
		c := competitiongrain.Default()
		c.Grain, c.Activation, c.Member, c.Random, c.NewID = g, activation, n.name, w.rand.Uint64, newID
		c.SnapshotEvery, c.PartBytes = every, w.faults.PartBytes
		return competitiongrain.New(c)
	default:
		panic("world: no shell for " + g.String())
	}
}

// race replays the competition's journal from the store.
func (w *World) race() (*competition.State, []competition.ResultPublished) {
	return w.replayed(0)
}

// raceThrough is the competition as it was at a version.
func (w *World) raceThrough(version uint64) *competition.State {
	s, _ := w.replayed(version)
	return s
}

func (w *World) replayed(through uint64) (*competition.State, []competition.ResultPublished) {
	s := competition.New()
	var results []competition.ResultPublished
	var parts competition.Joiner
	for after := uint64(0); ; {
		records, more, err := w.stored.ReadJournal(background, id.Of(id.Competition, w.plan.competition), after, 0)
		if err != nil {
			w.failf("journal: %v", err)
			return s, nil
		}
		for _, r := range records {
			if after = r.Version; through != 0 && r.Version > through {
				return s, results
			}
			e, err := competitioncodec.Decode(r.Kind, r.Format, r.Payload)
			if err != nil {
				w.failf("journal: %v", err)
				return s, nil
			}
			s.Apply(e)
			switch p, ok, err := parts.Take(e); {
			case err != nil:
				w.failf("journal: version %d: %v", r.Version, err)
				return s, nil
			case ok:
				results = append(results, p)
			}
		}
		if !more {
			return s, results
		}
	}
}

// official reports whether the race is over: looked at only when its journal has moved.
func (w *World) official() bool {
	if w.isOfficial || w.wall < w.lookAt {
		return w.isOfficial
	}
	w.lookAt = w.wall.Add(1000)
	_, results := w.race()
	w.isOfficial = len(results) > 0 && results[len(results)-1].Status == competition.ResultOfficial
	return w.isOfficial
}

// result is the newest published result without what may differ between two runs of one race: versions of journals
// and recordings' names (they cover the skips as declared, which may be cut differently).
func (w *World) result() string {
	_, results := w.race()
	if len(results) == 0 {
		return "none"
	}
	r := results[len(results)-1]
	var b strings.Builder
	fmt.Fprintf(&b, "status %d rules %d\n", r.Status, r.RulesVersion)
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "%+v\n", row)
	}
	for _, in := range r.Inputs {
		fmt.Fprintf(&b, "entry %d unanswered %v flags %v gates %v", in.Entry, in.Unanswered, in.Flags, in.Gates)
		for _, s := range in.Streams {
			fmt.Fprintf(&b, " | %s through %d %x", s.Stream, s.Through, s.Digest)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// readStream is a stream as the store has it: the recording up to the floor, the rows above it.
func (w *World) readStream(c *source, skips []persistence.Span) ([]sample.Batch, error) {
	key := persistence.SeriesKey{Device: c.s.device, Stream: c.s.id, Subject: c.r.user}
	f, err := w.facts(c)
	if err != nil {
		return nil, err
	}
	var batches []sample.Batch
	if f.Floor.Through > 0 {
		rec, ok, err := w.stored.GetRecording(background, c.r.user, f.Opening.Training, f.Floor.Recording)
		if err == nil && !ok {
			err = persistence.ErrCorrupt
		}
		if err != nil {
			return nil, fmt.Errorf("the recording at the floor: %w", err)
		}
		for _, s := range rec.Streams {
			if s.Key.Stream == c.s.id {
				batches = append(batches, s.Batches...)
			}
		}
	}
	rows, err := w.stored.ReadSeries(background, persistence.SeriesQuery{Key: key, From: f.Floor.Through + 1, Skips: skips})
	if err != nil {
		return nil, err
	}
	if len(rows.Conflicts) > 0 {
		return nil, fmt.Errorf("rows disagree about seqs %v", rows.Conflicts)
	}
	return append(batches, rows.Batches...), nil
}
