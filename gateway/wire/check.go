package wire

import (
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/api/telemetry"
	"paceline/domain/id"
)

// within checks pairs of (most bytes, string).
func within(pairs ...any) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		most, s := pairs[i].(int), pairs[i+1].(string)
		if len(s) > most {
			return ErrTooLong.With("%d bytes, at most %d", len(s), most)
		}
	}
	return nil
}

func checkID(s string) error {
	if err := id.Check(s); err != nil {
		return err
	}
	return nil
}

func checkOpen(o *livev1.OpenStream) error {
	if err := id.CheckScoped(o.GetDeviceId()); err != nil {
		return err
	}
	if err := checkID(o.GetStreamId()); err != nil {
		return err
	}
	if err := checkID(o.GetWorkoutId()); err != nil {
		return err
	}
	if o.PersonId != "" {
		if err := checkID(o.PersonId); err != nil {
			return err
		}
	}
	if len(o.Channels) > MaxChannels {
		return ErrTooLong.With("%d channels, at most %d", len(o.Channels), MaxChannels)
	}
	if o.Clock < livev1.ClockKind_CLOCK_KIND_GNSS || o.Clock > livev1.ClockKind_CLOCK_KIND_FREE {
		return ErrClockKind.With("clock %d", o.Clock)
	}
	seen := map[livev1.Channel]bool{}
	for _, c := range o.Channels {
		ch := c.GetChannel()
		if ch <= 0 || ch > livev1.Channel_CHANNEL_POSITION_ERROR_MM {
			return telemetry.ErrChannel.With("channel %d", ch)
		}
		if seen[ch] {
			return telemetry.ErrTwice.With("channel %d", ch)
		}
		seen[ch] = true
		if c.Trust < livev1.Trust_TRUST_MEASURED || c.Trust > livev1.Trust_TRUST_MANUAL {
			return ErrTrust.With("trust %d", c.Trust)
		}
	}
	return nil
}

func checkControlResult(r *livev1.ControlResult) error {
	if err := checkID(r.GetControlId()); err != nil {
		return err
	}
	switch r.Result {
	case "applied", "limited", "refused":
		return nil
	}
	return ErrResult
}

func checkSkip(s *livev1.Skip) error {
	if err := checkID(s.GetStreamId()); err != nil {
		return err
	}
	if s.FromSeq < 1 || s.ToSeq < s.FromSeq || s.ToSeq > telemetry.MaxSeq {
		return ErrSpan.With("from %d to %d", s.FromSeq, s.ToSeq)
	}
	return within(MaxTextBytes, s.Reason)
}

func checkCommand(c *livev1.Command) error {
	if err := checkID(c.GetCommandId()); err != nil {
		return err
	}
	if c.WorkoutId != "" {
		if err := checkID(c.WorkoutId); err != nil {
			return err
		}
	}
	switch v := c.Command.(type) {
	case nil:
		return ErrUnknownMessage
	case *livev1.Command_StartWorkout:
		return within(MaxTextBytes, v.StartWorkout.GetSport(), MaxTextBytes, v.StartWorkout.GetZone())
	case *livev1.Command_FinishWorkout:
		return checkFinish(v.FinishWorkout)
	case *livev1.Command_Join:
		if p := v.Join.GetPrimaryStreamId(); p != "" {
			if err := checkID(p); err != nil {
				return err
			}
		}
		return checkID(v.Join.GetCompetitionId())
	case *livev1.Command_Leave:
		return checkID(v.Leave.GetCompetitionId())
	case *livev1.Command_Ready:
		return checkID(v.Ready.GetCompetitionId())
	case *livev1.Command_React:
		if err := within(MaxTextBytes, v.React.GetReaction()); err != nil {
			return err
		}
		return checkID(v.React.GetCompetitionId())
	}
	return nil
}

func checkFinish(f *livev1.FinishWorkout) error {
	if len(f.GetStreams()) > MaxStreamEnds {
		return ErrTooLong.With("%d streams, at most %d", len(f.Streams), MaxStreamEnds)
	}
	for _, s := range f.GetStreams() {
		if err := checkID(s.GetStreamId()); err != nil {
			return err
		}
		if s.LastSeq > telemetry.MaxSeq {
			return ErrSpan.With("last_seq %d", s.LastSeq)
		}
	}
	return nil
}
