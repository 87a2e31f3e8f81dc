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
	row, ok, err := c.Training(ctx, c.Grain().ID)
	if err != nil || !ok || !moveTraining(&row, e) {
		return err
	}
	row.Version = r.Version
	c.PutTraining(row)
	return nil
}

// moveTraining says what an event changes in the row; false: nothing.
func moveTraining(row *view.Training, e training.Event) bool {
	switch e := e.(type) {
	case training.Bound:
		row.Competition = e.Competition
	case training.Unbound:
		if row.Competition != e.Competition {
			return false
		}
		row.Competition = ""
	case training.FinishRequested:
		row.Phase = phaseFinishing
	case training.Finished:
		row.Phase = phaseFinished
		row.ElapsedMs, row.DistanceMm = e.Totals.ElapsedMs, e.Totals.DistanceMm
	case training.TotalsRevised:
		row.ElapsedMs, row.DistanceMm = e.Totals.ElapsedMs, e.Totals.DistanceMm
	default:
		return false
	}
	return true
}
