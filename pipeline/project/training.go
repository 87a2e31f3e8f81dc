package project

import (
	"context"

	"paceline/actors/training"
	"paceline/actors/training/trainingcodec"
	"paceline/persistence"
	"paceline/persistence/view"
)

// The phases of a workout in a person's list.
const (
	phaseLive      = "live"
	phaseFinishing = "finishing"
	phaseFinished  = "finished"
)

// Training is a workout in its person's list, and where its local id leads.
func Training(ctx context.Context, c *view.Change, r persistence.Record) error {
	e, err := trainingcodec.Decode(r.Kind, r.Format, r.Payload)
	if err != nil {
		return err
	}
	if s, ok := e.(training.Started); ok {
		c.PutTraining(view.Training{ID: c.Grain().ID, Sport: s.Sport, Zone: s.Zone, UTCOffsetS: s.UTCOffsetS, StartedAt: s.DeviceTime,
			Phase: phaseLive, Version: r.Version})
		return nil
	}
	change := trainingChange(e)
	if change == nil {
		return nil
	}
	row, ok, err := c.Training(ctx, c.Grain().ID)
	if err != nil || !ok || !change(&row) {
		return err
	}
	row.Version = r.Version
	c.PutTraining(row)
	return nil
}

// trainingChange is what an event changes in the row, false if nothing after all; nil: nothing in any row, as gates and
// laps, which most are, so that it need not be read.
func trainingChange(e training.Event) func(row *view.Training) bool {
	total := func(t training.Totals) func(*view.Training) bool {
		return func(row *view.Training) bool {
			row.ElapsedMs, row.DistanceMm = t.ElapsedMs, t.DistanceMm
			return true
		}
	}
	switch e := e.(type) {
	case training.Bound:
		return func(row *view.Training) bool { row.Competition = e.Competition; return true }
	case training.Unbound:
		return func(row *view.Training) bool {
			bound := row.Competition == e.Competition
			if bound {
				row.Competition = ""
			}
			return bound
		}
	case training.FinishRequested:
		return func(row *view.Training) bool { row.Phase = phaseFinishing; return true }
	case training.Finished:
		return func(row *view.Training) bool { row.Phase = phaseFinished; return total(e.Totals)(row) }
	case training.TotalsRevised:
		return total(e.Totals)
	}
	return nil
}
