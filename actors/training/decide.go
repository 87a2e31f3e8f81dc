package training

import (
	"cmp"
	"slices"

	"paceline/domain/basis"
	"paceline/domain/geo"
	"paceline/domain/step"
)

// Decide says what follows from a command, or refuses it. It never changes s.
func Decide(s *State, c Command) ([]Event, error) {
	switch c := c.(type) {
	case Start:
		return decideStart(s, c)
	case Attach:
		return decideAttach(s, c)
	case Bind:
		return decideBind(s, c)
	case Unbind:
		return decideUnbind(s, c)
	case Pause:
		return decidePause(s, c)
	case Resume:
		return decideResume(s, c)
	case Lap:
		return decideLap(s, c)
	case Finish:
		return decideFinish(s, c)
	case Observe:
		return decideObserve(s, c)
	case Conclude:
		return decideConclude(s, c)
	case NoteRecording:
		if s.Recording != nil && s.Recording.Recording == c.Written.Recording {
			return nil, nil
		}
		return []Event{c.Written}, nil
	}
	return nil, nil
}

func decideStart(s *State, c Start) ([]Event, error) {
	const day = 18 * 3600
	switch st := c.Started; {
	case !geo.Sport(st.Sport).Known():
		return nil, ErrSport.With("%q", st.Sport)
	case len(st.Zone) > 64 || st.UTCOffsetS > day || st.UTCOffsetS < -day:
		return nil, ErrZone
	case !plannable(st.Plan):
		return nil, ErrPlan
	case s.Phase == PhaseNone:
		return []Event{st}, nil
	case s.Started.Equal(st) && s.Phase == PhaseLive:
		return nil, nil
	case s.Phase == PhaseLive:
		return nil, ErrStarted
	}
	return nil, ErrFinished
}

func plannable(plan []PlanStep) bool {
	return len(plan) <= MaxPlanSteps && !slices.ContainsFunc(plan, func(p PlanStep) bool {
		return p.ForS < 1 || p.ForS > maxPlanS || p.PowerW > maxPlanW
	})
}

func decideAttach(s *State, c Attach) ([]Event, error) {
	k := c.Stream.Key
	if k.Device == "" || k.Stream == "" || len(k.Device) > 129 || len(k.Stream) > 64 {
		return nil, ErrStream
	}
	if s.Phase == PhaseNone {
		return nil, ErrNotStarted
	}
	// What the device's journal says of a stream and what this one says of the workout never change: whoever asks
	// again gets the same.
	if c.Sport != "" && c.Sport != s.Started.Sport {
		return nil, ErrSportDiffers.With("%s in a workout of %s", c.Sport, s.Started.Sport)
	}
	if _, ok := slices.BinarySearchFunc(s.Streams, k, func(t Stream, k StreamKey) int { return compareKeys(t.Key, k) }); ok {
		return nil, nil
	}
	if s.Finish != nil && c.At > s.Finish.RequestedAt.Add(attachLate) {
		return nil, ErrFinished
	}
	if len(s.Streams) >= MaxStreams {
		return nil, ErrStreams
	}
	return []Event{StreamAttached{c.Stream}}, nil
}

// decideBind takes the first race that binds, until it lets go: otherwise the repeats of two races would take the
// workout from each other for ever.
func decideBind(s *State, c Bind) ([]Event, error) {
	b := c.Bound
	for _, u := range s.Unbound {
		if u.Competition == b.Competition && u.Version > b.Version {
			return nil, nil
		}
	}
	switch {
	case s.Bound == nil:
	case s.Bound.Competition != b.Competition:
		return nil, ErrBoundElsewhere
	case s.Bound.Version >= b.Version:
		return nil, nil
	}
	if _, err := s.compile(b.Track); err != nil {
		return nil, ErrTrack.With("%v", err)
	}
	return []Event{b}, nil
}

func decideUnbind(s *State, c Unbind) ([]Event, error) {
	if s.Bound == nil || s.Bound.Competition != c.Competition || c.Version <= s.Bound.Version {
		return nil, nil
	}
	return []Event{Unbound{c.Competition, c.Version}}, nil
}

func (s *State) live() error {
	switch s.Phase {
	case PhaseNone:
		return ErrNotStarted
	case PhaseLive:
		return nil
	case PhaseFinishing, PhaseOver:
	}
	return ErrFinished
}

func (s *State) paused() bool { return len(s.Breaks) > 0 && s.Breaks[len(s.Breaks)-1].To == 0 }

func decidePause(s *State, c Pause) ([]Event, error) {
	if err := s.live(); err != nil {
		return nil, err
	}
	if s.paused() {
		return nil, nil
	}
	if len(s.Breaks) >= MaxLaps {
		return nil, ErrTooManyLaps
	}
	at := max(c.EventTime, 1)
	if n := len(s.Breaks); n > 0 {
		at = max(at, s.Breaks[n-1].To)
	}
	return []Event{Paused{at}}, nil
}

func decideResume(s *State, c Resume) ([]Event, error) {
	if err := s.live(); err != nil {
		return nil, err
	}
	if !s.paused() {
		return nil, nil
	}
	return []Event{Resumed{max(c.EventTime, s.Breaks[len(s.Breaks)-1].From)}}, nil
}

func decideLap(s *State, c Lap) ([]Event, error) {
	if err := s.live(); err != nil {
		return nil, err
	}
	if len(s.Laps) >= MaxLaps {
		return nil, ErrTooManyLaps
	}
	return []Event{LapMarked{uint32(len(s.Laps)) + 1, c.EventTime}}, nil
}

func decideFinish(s *State, c Finish) ([]Event, error) {
	if s.Phase == PhaseNone {
		return nil, ErrNotStarted
	}
	if s.Phase != PhaseLive {
		return nil, nil
	}
	if len(c.Streams) > MaxStreams {
		return nil, ErrStreams
	}
	last := slices.Clone(c.Streams)
	slices.SortFunc(last, func(a, b StreamEnd) int {
		return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(b.LastSeq, a.LastSeq))
	})
	last = slices.CompactFunc(last, func(a, b StreamEnd) bool { return a.Stream == b.Stream })
	var events []Event
	at := min(c.EventTime, c.At)
	if at <= 0 {
		at = c.At
	}
	if s.paused() {
		events = append(events, Resumed{max(at, s.Breaks[len(s.Breaks)-1].From)})
	}
	return append(events, FinishRequested{By: c.By, Reason: c.Reason, DeviceTime: c.DeviceTime, At: at,
		Streams: last, RequestedAt: c.At}), nil
}

// decideObserve compares what was found with what the journal says, gate by gate: folding again says nothing twice.
func decideObserve(s *State, c Observe) ([]Event, error) {
	if s.Bound == nil || s.Bound.Competition != c.Competition || s.Bound.Version != c.Binding {
		if len(c.Gates) == 0 && len(c.Flags) == 0 && s.Bound == nil {
			return nil, nil
		}
		return nil, ErrStale
	}
	found := make([]Gate, max(len(s.Gates), len(s.Course.Visits())))
	for _, g := range c.Gates {
		if int(g.Gate) < len(found) {
			found[g.Gate] = Gate{true, g.At}
		}
	}
	var events []Event
	for i, now := range found {
		var was Gate
		if i < len(s.Gates) {
			was = s.Gates[i]
		}
		switch {
		case was == now && (!now.Taken || !step.RuleFactsKeyed.Off()):
		case !was.Taken || was == now:
			events = append(events, Passed{uint32(i), now.At, c.Binding})
		default:
			events = append(events, Revised{Gate: uint32(i), From: was.At, To: now.At, None: !now.Taken, Why: c.Why, Binding: c.Binding})
		}
	}
	for _, f := range c.Flags {
		if !slices.Contains(s.Flags, f) {
			events = append(events, Flagged{f})
		}
	}
	for _, f := range s.Flags {
		if !slices.ContainsFunc(c.Flags, func(g Flag) bool { return g.Reason == f.Reason }) {
			events = append(events, FlagCleared{f.Reason})
		}
	}
	return events, nil
}

func decideConclude(s *State, c Conclude) ([]Event, error) {
	t := c.Totals
	t.ElapsedMs = s.Elapsed(t)
	switch s.Phase {
	case PhaseFinishing:
		return []Event{Finished{c.Basis, t, c.Incomplete}}, nil
	case PhaseOver:
		if basis.Equal(s.Basis, c.Basis) || t == s.Totals && !basis.Older(s.Basis, c.Basis) {
			return nil, nil
		}
		return []Event{TotalsRevised{s.Basis, c.Basis, t}}, nil
	case PhaseNone, PhaseLive:
	}
	return nil, nil
}
