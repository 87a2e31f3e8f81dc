package trial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"connectrpc.com/connect"

	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	"paceline/actors/leaderboard"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/api/track"
	"paceline/cluster/wakeup"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/id"
	"paceline/domain/unit"
	"paceline/persistence"
	"paceline/simulations/swarm"
)

// Wakes are trials of what nobody but a wake-up does.
var Wakes = []Trial{
	{Name: "wake-ups, a node is killed", Start: 4, Hold: wakes},
}

// The times of a trial of wake-ups.
const (
	// A timer's row is due 15 s after it was written at the soonest, and 30 s after its start a race is woken whatever it waits
	// for. What comes due between these is woken for its time alone.
	firstDueMs  = unit.DurationMs(16_000)
	dueWithinMs = unit.DurationMs(12_000)
	killAfterMs = unit.DurationMs(2_500) // after the first

	takenMs  = unit.DurationMs(5_000) // the promise: so long after a kill another node fires what the dead one would have
	onTimeMs = unit.DurationMs(1_000) // the promise

	// wokenWithinMs fails a run: what a busy machine may make of these once the others know of the kill. Whose wake-up was lost
	// is woken by the row of all races that are on, later than that after a kill that was noticed in the usual time.
	wokenWithinMs = unit.DurationMs(6_000)
	cutoffMs      = unit.DurationMs(1) // after the gun
)

// sleeper is a race that is in no node's memory when it comes due.
type sleeper struct {
	race         string
	gun, due     unit.InstantMs // due: when the rules have something to do
	grain, shard *Process       // where they live before the kill
	at           unit.InstantMs // when it was done
	journal      []journalled
}

func (s *sleeper) of(p *Process) bool { return s.grain == p || s.shard == p }

// kill of one of three nodes that were agreed on who they are, and when the others knew of it.
type kill struct {
	victim              *Process
	agreed, at, noticed unit.InstantMs
}

// wakes: races are announced on a node that then leaves, so that none of them is in any node's memory (there its own timer
// would do), and nobody asks for one. Their guns come due one after the other, and with them what the rules do at the
// cut-off, a millisecond later: whoever has not come did not start, and the result is published. Only a wake-up does that.
// Early on one of the three nodes is killed. When the rules acted is what the journals say; each has to have it once.
func wakes(ctx context.Context, f *Fleet, run []*Process, size Size, progress io.Writer) (*Outcome, error) {
	o := &Outcome{Name: "wake-ups, a node is killed"}
	three, leaver, victim := run[:3], run[3], run[1]
	node, err := swarm.Connect(ctx, three[0].URL(), f.Token, three[2].URL())
	if err != nil {
		return nil, err
	}
	races, first, err := announce(ctx, node, run, leaver, min(max(3*size.Devices, 90), 300))
	if err != nil {
		return nil, err
	}
	for _, s := range races {
		s.grain = three[swarm.Owner(s.race, addresses(three))]
		s.shard = three[swarm.OwnerOfAffinity(wakeup.Affinity(persistence.ShardOf(s.id())), addresses(three))]
	}
	if err := errors.Join(leaver.Leave(ctx), f.Agree(ctx, three...)); err != nil {
		return nil, err
	}
	agreed := node.Now()
	fmt.Fprintf(progress, "%d races announced; nobody has them in memory %.1f s before the first comes due\n", len(races), seconds(first.Sub(agreed)))
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(node.Until(max(first, agreed).Add(killAfterMs))):
	}
	k := kill{victim: victim, agreed: agreed, at: node.Now()}
	victim.Kill()
	if err := f.Agree(ctx, three[0], three[2]); err != nil {
		return nil, err
	}
	k.noticed = node.Now()
	store, err := f.openStore(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = store.rows.Close() }()
	if err := until(ctx, node.Until(races[len(races)-1].due)+time.Minute, func() error {
		missing := 0
		for _, s := range races {
			if s.at != 0 {
				continue
			}
			if s.journal, err = store.race(ctx, s.id()); err != nil {
				return err
			}
			if s.at = acted(s.journal); s.at == 0 {
				missing++
			}
		}
		if missing > 0 {
			return fmt.Errorf("trial: %d of %d races were never woken", missing, len(races))
		}
		return nil
	}); err != nil {
		o.Failed = append(o.Failed, err.Error())
	}
	answers := byGrain(node.Answered())
	for _, s := range races {
		o.judge(s, k)
		// The race is in a node's memory now, and may write between two reads; a hole stays.
		err := until(ctx, upWithin, func() error { _, err := store.rising(ctx, s.id()); return err })
		if err == nil {
			s.journal, err = store.race(ctx, s.id()) // with what was written twice since
		}
		if err == nil {
			err = store.answered(ctx, s.id(), answers[s.id().String()])
		}
		if err = errors.Join(err, checkWoken(s, s.journal, agreed)); err != nil {
			o.Failed = append(o.Failed, err.Error())
		}
	}
	o.measure(races, k)
	return o, nil
}

func (s *sleeper) id() id.Grain { return id.Of(id.Competition, s.race) }

// announce makes races that live on one node, and announces their guns.
func announce(ctx context.Context, node *swarm.Node, run []*Process, on *Process, n int) ([]*sleeper, unit.InstantMs, error) {
	user, _, err := node.Enrol(ctx, 1)
	if err != nil {
		return nil, 0, err
	}
	races := make([]*sleeper, n)
	for i := range races {
		race := node.NewID()
		for run[swarm.Owner(race, addresses(run))] != on {
			race = node.NewID()
		}
		races[i] = &sleeper{race: race}
	}
	road := course.Track{Format: course.Distance, Sport: geo.Run, Name: "wakes", DistanceMm: 100_000,
		Gates: []geo.Gate{{ID: "finish", Kind: geo.FinishGate, Mandatory: true, AtMm: 100_000}}}
	first := node.Now().Add(firstDueMs)
	for i, s := range races {
		s.gun = first.Add(dueWithinMs * unit.DurationMs(i) / unit.DurationMs(n))
		s.due = s.gun.Add(cutoffMs)
	}
	err = swarm.EachOf(n, 16, func(i int) error {
		s := races[i]
		if _, err := node.Competitions.CreateCompetition(ctx, connect.NewRequest(&managev1.CreateCompetitionRequest{
			CommandId: node.NewID(), CompetitionId: s.race, Definition: &competitionv1.Definition{
				Name: "wakes", Track: track.ToProto(road), Start: competitionv1.StartKind_START_KIND_MASS, RankBy: competitionv1.RankBy_RANK_BY_GUN,
				ScheduledAtMs: int64(s.gun), CutoffAfterMs: int64(cutoffMs), AutoOfficialAfterMs: -1}})); err != nil {
			return fmt.Errorf("trial: create a race: %w", err)
		}
		for _, c := range []*competitionv1.Command{
			{Command: &competitionv1.Command_AddEntry{AddEntry: &competitionv1.EntryAdded{Entry: 1, UserId: user}}},
			{Command: &competitionv1.Command_Lock{Lock: &competitionv1.Lock{}}},
			{Command: &competitionv1.Command_Start{Start: &competitionv1.StartRace{GunAtMs: int64(s.gun)}}},
		} {
			c.Call = &clusterv1.Call{CommandId: node.NewID()}
			if _, err := node.Competitions.Command(ctx, connect.NewRequest(&managev1.CommandRequest{CompetitionId: s.race, Command: c})); err != nil {
				return fmt.Errorf("trial: %T: %w", c.Command, err)
			}
		}
		return nil
	})
	return races, first, err
}

// journalled is an event and when it was decided.
type journalled struct {
	at    unit.InstantMs
	event competition.Event
}

func (s *store) race(ctx context.Context, race id.Grain) (all []journalled, err error) {
	for after, more := uint64(0), true; more; {
		var records []persistence.Record
		if records, more, err = s.journal.ReadJournal(ctx, race, after, 0); err != nil {
			return nil, fmt.Errorf("trial: %v: %w", race, err)
		}
		for _, rec := range records {
			e, err := competitioncodec.Decode(rec.Kind, rec.Format, rec.Payload)
			if err != nil {
				return nil, fmt.Errorf("trial: %v: %w", race, err)
			}
			all = append(all, journalled{rec.Meta.At, e})
			after = rec.Version
		}
	}
	return all, nil
}

// acted is when a race's rules acted, once its result is there too; 0: not yet.
func acted(journal []journalled) (at unit.InstantMs) {
	done := false
	for _, j := range journal {
		switch j.event.(type) {
		case competition.StatusChanged:
			at = j.at
		case competition.ResultPublished:
			done = true
		}
	}
	if !done {
		return 0
	}
	return at
}

// checkWoken: the gun is the announced one, what follows it is there once and not before its time, and nothing had the race
// in memory before.
func checkWoken(s *sleeper, journal []journalled, asleep unit.InstantMs) error {
	starts, statuses, results := 0, 0, 0
	for _, j := range journal {
		switch e := j.event.(type) {
		case competition.RaceStarted:
			starts++
			if e.GunAt != s.gun {
				return fmt.Errorf("trial: %s: the gun is at %d, announced was %d", s.race, e.GunAt, s.gun)
			}
		case competition.StatusChanged:
			statuses++
			if e.Status != leaderboard.DNS {
				return fmt.Errorf("trial: %s: the entry that never came is %v", s.race, e.Status)
			}
			if j.at < s.due {
				return fmt.Errorf("trial: %s: the rules acted %d ms before their time", s.race, s.due.Sub(j.at))
			}
		case competition.ResultPublished:
			results++
		}
		if j.at >= asleep && j.at < s.gun {
			return fmt.Errorf("trial: %s: %T %d ms before its gun: something else than its wake-up had woken it", s.race, j.event, s.gun.Sub(j.at))
		}
	}
	if starts != 1 || statuses != 1 || results != 1 {
		return fmt.Errorf("trial: %s: %d starts, %d who did not start, %d results; want one each", s.race, starts, statuses, results)
	}
	return nil
}

// judge: what no busy machine explains.
func (o *Outcome) judge(s *sleeper, k kill) {
	since := max(s.due, k.agreed)
	if s.of(k.victim) && s.at >= k.at {
		since = max(since, k.noticed)
	}
	if late := s.at.Sub(since); late > wokenWithinMs {
		o.Failed = append(o.Failed, fmt.Sprintf("%s was woken %.1f s after it could be, %.1f s after the kill", s.race, seconds(late), seconds(s.at.Sub(k.at))))
	}
}

// measure is the row of the table: the promise is a second after the time, and 5 s after the kill for what a dead node had.
func (o *Outcome) measure(races []*sleeper, k kill) {
	var others, grains, shards, later []unit.DurationMs
	early := 0
	for _, s := range races {
		switch {
		case s.at == 0:
		case s.due < k.agreed:
			early++
		case !s.of(k.victim), s.due.Add(onTimeMs) < k.at:
			others = append(others, s.at.Sub(s.due))
		case s.due >= k.at.Add(takenMs-onTimeMs):
			later = append(later, s.at.Sub(s.due))
		case s.shard == k.victim:
			shards = append(shards, s.at.Sub(k.at))
		default:
			grains = append(grains, s.at.Sub(k.at))
		}
	}
	if early > 0 {
		o.Notes = append(o.Notes, fmt.Sprintf("%d came due before the nodes were ready", early))
	}
	o.Measured = fmt.Sprintf("of other nodes late by %s   the kill known after %.2f s   of the killed, due within 4 s: its shards after %s, its grains after %s   due later: late by %s",
		spread(others), seconds(k.noticed.Sub(k.at)), spread(shards), spread(grains), spread(later))
}

func seconds(d unit.DurationMs) float64 { return float64(d) / float64(unit.Second) }

// spread is median and most.
func spread(of []unit.DurationMs) string {
	if len(of) == 0 {
		return "(none)"
	}
	slices.Sort(of)
	return fmt.Sprintf("%.2f s, %.2f s at most (%d)", seconds(of[len(of)/2]), seconds(of[len(of)-1]), len(of))
}
