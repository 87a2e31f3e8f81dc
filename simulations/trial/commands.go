package trial

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"paceline/actors/training"
	"paceline/actors/training/trainingcodec"
	"paceline/domain/id"
	"paceline/persistence"
	"paceline/simulations/swarm"
)

// answers are all that clients were answered, by the grain that did.
func (r *Round) answers() map[string][]swarm.Answer {
	all := append(r.watch.Node.Answered(), r.ruled...)
	r.outcome.Answers = len(all)
	return byGrain(all)
}

func byGrain(all []swarm.Answer) map[string][]swarm.Answer {
	by := make(map[string][]swarm.Answer)
	for _, a := range all {
		by[a.Stream] = append(by[a.Stream], a)
	}
	return by
}

// checkAnswers compares only what was answered so far, while nodes may go on writing.
func (r *Round) checkAnswers(ctx context.Context) error {
	if r.watch.Node == nil { // nothing has been done to nodes
		return nil
	}
	s, err := r.Fleet.openStore(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = s.rows.Close() }()
	var errs []error
	for stream, answers := range r.answers() {
		kind, name, _ := strings.Cut(stream, "/")
		errs = append(errs, s.answered(ctx, id.Grain{Kind: id.Kind(kind), ID: name}, answers))
	}
	return errors.Join(errs...)
}

// answered compares a grain's journal with what its clients were told.
func (s *store) answered(ctx context.Context, g id.Grain, answers []swarm.Answer) error {
	var journal []persistence.Record
	for more := true; more; {
		var page []persistence.Record
		var err error
		if page, more, err = s.journal.ReadJournal(ctx, g, uint64(len(journal)), 0); err != nil {
			return fmt.Errorf("trial: journal of %v: %w", g, err)
		}
		journal = append(journal, page...)
	}
	if err := checkCommands(g, journal, answers); err != nil {
		return err
	}
	if g.Kind != id.Training {
		return nil
	}
	return checkLaps(g, journal)
}

// checkCommands: a journal whose rows are numbered without a hole holds each command once, in one piece, and each that was
// answered at the version that its answer named. So a loser that has written over a row of somebody else, or has answered
// what it has not written, is found wherever a client was told of it: nothing in a row says which activation wrote it.
func checkCommands(g id.Grain, journal []persistence.Record, answers []swarm.Answer) error {
	ends := make(map[string]uint64) // of each command, its last row
	kinds := make(map[uint32]bool)  // of the command that the row before belongs to
	command := ""
	answered := make(map[string]bool, len(answers))
	for _, a := range answers {
		answered[a.Command] = true
	}
	for i, rec := range journal {
		if rec.Version != uint64(i)+1 {
			return fmt.Errorf("trial: %v: version %d is the journal's row %d", g, rec.Version, i+1)
		}
		if rec.Meta.CommandID != command {
			clear(kinds)
		}
		if command = rec.Meta.CommandID; command == "" {
			continue
		}
		if end := ends[command]; end != 0 && end != rec.Version-1 {
			return fmt.Errorf("trial: %v: command %s is there twice, at %d and at %d", g, command, end, rec.Version)
		}
		// No command that these clients give says the same of two.
		if answered[command] && kinds[rec.Kind] {
			return fmt.Errorf("trial: %v: command %s is there twice, at %d and at %d", g, command, ends[command], rec.Version)
		}
		ends[command], kinds[rec.Kind] = rec.Version, true
	}
	last := make(map[string]swarm.Answer)
	for _, a := range answers {
		switch end := ends[a.Command]; {
		case end == 0:
			return fmt.Errorf("trial: %v: %s was answered with version %d and is nowhere; there is %s", g, a.Command, a.Version, rowAt(journal, a.Version))
		case end != a.Version:
			return fmt.Errorf("trial: %v: %s was answered with version %d and is at %d; there is %s", g, a.Command, a.Version, end, rowAt(journal, a.Version))
		}
		// Who gives a command only when the one before it was answered has them in this order.
		if before := last[a.Client]; a.Client != "" && before.Version >= a.Version {
			return fmt.Errorf("trial: %v: %s of %s is at %d, the one before it, %s, at %d", g, a.Command, a.Client, a.Version, before.Command, before.Version)
		}
		last[a.Client] = a
	}
	return nil
}

func rowAt(journal []persistence.Record, version uint64) string {
	if version == 0 || version > uint64(len(journal)) {
		return "no row"
	}
	rec := &journal[version-1]
	return fmt.Sprintf("an event of kind %d of command %q by %s", rec.Kind, rec.Meta.CommandID, rec.Meta.By)
}

// checkLaps: whoever marked a lap knew of all before it. An activation that goes on with a state of its own, beside another
// one, numbers its laps by that.
func checkLaps(g id.Grain, journal []persistence.Record) error {
	laps := uint32(0)
	for _, rec := range journal {
		e, err := trainingcodec.Decode(rec.Kind, rec.Format, rec.Payload)
		if err != nil {
			return fmt.Errorf("trial: journal of %v: %w", g, err)
		}
		lap, ok := e.(training.LapMarked)
		if !ok {
			continue
		}
		if lap.Lap != laps+1 {
			return fmt.Errorf("trial: %v: lap %d at version %d follows lap %d: who marked it did not know what was there", g, lap.Lap, rec.Version, laps)
		}
		laps++
	}
	return nil
}
