package trial

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	"paceline/domain/id"
	"paceline/domain/unit"
	"paceline/persistence"
	"paceline/persistence/cql"
	"paceline/persistence/sealed"
)

// store is what the nodes have written, read past them.
type store struct {
	rows    *cql.Rows
	journal *persistence.RowStore // opens what is sealed, with the nodes' key
}

func (f *Fleet) openStore(ctx context.Context) (*store, error) {
	cfg := cql.Default()
	cfg.Hosts, cfg.Keyspace = strings.Split(f.hosts, ","), f.keyspace
	rows, err := cql.Open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("trial: %w", err)
	}
	var cells *sealed.Rows
	wrapping, err := sealed.LoadWrappingKey(f.in("keys/wrapping.key"))
	if err == nil {
		cells, err = sealed.New(ctx, rows, sealed.Config{Wrapping: wrapping})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("trial: the nodes' key: %w", err), rows.Close())
	}
	return &store{rows: rows, journal: persistence.Over(cells)}, nil
}

// checkJournals looks at every authoritative write of every grain: each journal's versions rise by one from 1 to what
// its head says, none is there twice or missing, and what viewers have seen was said by activations that the race's
// journal names, each under the version of its own first event.
func (r *Round) checkJournals(ctx context.Context) error {
	s, err := r.Fleet.openStore(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = s.rows.Close() }()
	var grains []id.Grain
	for after := ""; ; {
		page, next, err := s.journal.Grains(ctx, after, 500)
		if err != nil {
			return fmt.Errorf("trial: %w", err)
		}
		grains = append(grains, page...)
		if after = next; after == "" {
			break
		}
	}
	answers := r.answers()
	errs := make([]error, len(grains))
	events := make([]uint64, len(grains))
	var wg sync.WaitGroup
	gate := make(chan struct{}, 16)
	for i, g := range grains {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			if events[i], errs[i] = s.rising(ctx, g); errs[i] == nil {
				errs[i] = s.answered(ctx, g, answers[g.String()])
			}
		})
	}
	wg.Wait()
	for _, g := range grains {
		delete(answers, g.String())
	}
	for stream := range answers {
		errs = append(errs, fmt.Errorf("trial: %s answered commands and has no journal", stream))
	}
	all := uint64(0)
	for _, n := range events {
		all += n
	}
	// Each athlete has at least a device and a training.
	if least := 2 * len(r.watch.Devices); len(grains) < least {
		errs = append(errs, fmt.Errorf("trial: %d journals in the store, of %d athletes", len(grains), len(r.watch.Devices)))
	}
	r.outcome.Journals, r.outcome.Events = len(grains), all
	return errors.Join(append(errs, r.checkEpochs(ctx, s))...)
}

// rising checks the rows of one journal, and counts them.
func (s *store) rising(ctx context.Context, g id.Grain) (uint64, error) {
	last := uint64(0)
	for bucket := uint64(0); ; bucket++ {
		part := persistence.Part{Table: persistence.TableJournal, Key: (&persistence.Key{}).Str(string(g.Kind)).Str(g.ID).U64(bucket).String()}
		head, err := s.rows.Head(ctx, part)
		if err != nil {
			return last, fmt.Errorf("trial: head of %v: %w", g, err)
		}
		if head.Version == 0 && bucket > last/persistence.JournalBucket {
			return last, nil
		}
		rows, err := s.rows.Range(ctx, part, persistence.Range{KeysOnly: true})
		if err != nil {
			return last, fmt.Errorf("trial: journal of %v: %w", g, err)
		}
		for _, row := range rows {
			k := persistence.ReadKey(row.Cluster)
			if v := k.U64(); !k.End() || v != last+1 {
				return last, fmt.Errorf("trial: %v: version %d follows %d", g, v, last)
			}
			last++
		}
		if head.Version != 0 && head.Version != last {
			return last, fmt.Errorf("trial: %v: its head says %d, its rows end at %d", g, head.Version, last)
		}
	}
}

// opening is what begins an epoch: the first event of an activation, or the event that locks the start list, with which an
// activation that has been there before begins another one.
type opening struct {
	epoch  uint64
	member string
	at     unit.InstantMs
}

func (r *Round) checkEpochs(ctx context.Context, s *store) error {
	var opened []opening
	for after, more := uint64(0), true; more; {
		var records []persistence.Record
		var err error
		if records, more, err = s.journal.ReadJournal(ctx, id.Of(id.Competition, r.Race), after, 0); err != nil {
			return fmt.Errorf("trial: the race's journal: %w", err)
		}
		for _, rec := range records {
			e, err := competitioncodec.Decode(rec.Kind, rec.Format, rec.Payload)
			if err != nil {
				return fmt.Errorf("trial: the race's journal: %w", err)
			}
			switch e := e.(type) {
			case competition.Opened:
				opened = append(opened, opening{rec.Version, e.Member, rec.Meta.At})
			case competition.StartListLocked:
				opened = append(opened, opening{rec.Version, "", rec.Meta.At})
			}
			after = rec.Version
		}
	}
	return checkOpened(opened, r.silent, r.seenRunning())
}

// seenRunning are the epochs of the boards of a running race that viewers had.
func (r *Round) seenRunning() []uint64 {
	var all []uint64
	for _, v := range r.watch.Viewers {
		all = append(all, v.EpochsRunning()...)
	}
	return all
}

// checkOpened: epochs rise, boards of a running race are of one of them, and who had to be silent was.
func checkOpened(opened []opening, silent []silence, seen []uint64) error {
	known := make(map[uint64]bool)
	last := uint64(0)
	for _, o := range opened {
		if o.epoch <= last {
			return fmt.Errorf("trial: epoch %d follows %d", o.epoch, last)
		}
		last, known[o.epoch] = o.epoch, true
		for _, s := range silent {
			if o.member == s.member && o.at > s.since {
				return fmt.Errorf("trial: %s opened epoch %d at %d, though it had stepped down before %d", o.member, o.epoch, o.at, s.since)
			}
		}
	}
	for _, epoch := range seen {
		if !known[epoch] {
			return fmt.Errorf("trial: a viewer had a board of epoch %d, which nobody has opened: %v", epoch, opened)
		}
	}
	if len(seen) == 0 {
		return errors.New("trial: no viewer had a board of the running race")
	}
	return nil
}
