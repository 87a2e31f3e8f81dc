package traininggrain

import (
	"paceline/actors/machine"
	"paceline/actors/training"
	"paceline/actors/training/trainingcodec"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/api/track"
	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

func (s *Shell) hint(k training.StreamKey) *hint {
	h := s.hints[k]
	if h == nil {
		h = &hint{}
		machine.Set(&s.hints, k, h)
	}
	return h
}

func (s *Shell) attached(k training.StreamKey) bool {
	for _, st := range s.machine.State().Streams {
		if st.Key == k {
			return true
		}
	}
	return false
}

// onBlock takes a hint: the samples are folded if they come next and nothing else has to be read before.
func (s *Shell) onBlock(now step.Now, m *trainingv1.Block) {
	k := training.StreamKey{Device: m.Device, Stream: m.StreamId}
	if !s.attached(k) {
		return // its Attach comes again
	}
	h := s.hint(k)
	h.last, h.facts = max(h.last, m.LastSeq), max(h.facts, m.FactsVersion)
	h.control = m.Control
	if m.Closed {
		h.closed, h.closedAt = true, m.ClosedAtSeq
	}
	if st := s.machine.State(); st.Bound != nil && now.Wall.Sub(h.told) >= s.n.TellAgain {
		s.tellDevice(now, k)
	}
	if s.fold == nil || s.reading != nil || len(m.Samples) == 0 || m.LastSeq <= s.fold.Through(k) {
		return
	}
	if known := s.fold.Facts(k); h.facts > known.Version && !step.RuleFactsVersion.Off() {
		return // the device's journal first
	}
	if !training.SameFold(s.fold.Params(), s.machine.State().Params()) {
		return
	}
	b, err := persistence.DecodeBlock(m.Samples)
	if err != nil || b.FirstSeq != m.FirstSeq || b.Len() == 0 || b.LastSeq() != m.LastSeq {
		return // what is stored counts
	}
	if s.fold.Feed(k, &b) {
		s.folded("late")
		s.somethingNew(now)
	}
}

// onCommand takes what a person asks for. An instant that it names is corrected by what the devices' journals say of
// their clocks, so it waits until they are read: what follows from a command must not depend on when it came.
func (s *Shell) onCommand(now step.Now, m *trainingv1.Command, from step.Return) {
	if !s.clocksKnown() {
		if len(s.timed) >= maxEarly {
			s.reply(from, nil, machine.ErrBusy)
			return
		}
		s.timed = append(s.timed, func(now step.Now) { s.command(now, m, from) })
		return
	}
	s.command(now, m, from)
}

// clocksKnown: the journals of all attached streams' devices have been read since they were attached. Where nothing is
// being read there is nothing to wait for.
func (s *Shell) clocksKnown() bool {
	st := s.machine.State()
	for i := range st.Streams {
		if f := s.streamFacts(st.Streams[i].Key); f == nil || !f.Opened {
			return s.fold != nil && s.reading == nil && training.SameFold(s.fold.Params(), st.Params())
		}
	}
	return true
}

// takeTimed goes on with the commands that had to wait for the devices' clocks.
func (s *Shell) takeTimed(now step.Now) {
	if len(s.timed) == 0 || !s.machine.Ready() || s.dead || !s.clocksKnown() {
		return
	}
	timed := s.timed
	s.timed = nil
	for _, f := range timed {
		f(now)
	}
	s.pump(now)
}

func (s *Shell) command(now step.Now, m *trainingv1.Command, from step.Return) {
	if s.dead {
		s.reply(from, nil, machine.ErrStopped)
		return
	}
	meta := step.Meta{At: now.Node, By: m.GetCall().GetBy(), CommandID: m.GetCall().GetCommandId(), Trace: m.GetCall().GetTrace()}
	var c training.Command
	switch o := m.Command.(type) {
	case *trainingv1.Command_Start:
		st := o.Start.GetStart()
		c = training.Start{Meta: meta, Started: training.Started{WorkoutID: s.machine.Grain().Local(), Sport: st.GetSport(),
			Zone: st.GetZone(), UTCOffsetS: st.GetUtcOffsetS(), DeviceTime: unit.InstantMs(st.GetDeviceTimeMs()),
			Plan: trainingcodec.PlanFromProto(st.GetPlan())}}
	case *trainingv1.Command_Pause:
		c = training.Pause{Meta: meta, EventTime: s.eventTime(now, o.Pause.GetDeviceTimeMs(), nil)}
	case *trainingv1.Command_Resume:
		c = training.Resume{Meta: meta, EventTime: s.eventTime(now, o.Resume.GetDeviceTimeMs(), nil)}
	case *trainingv1.Command_Lap:
		c = training.Lap{Meta: meta, EventTime: s.eventTime(now, o.Lap.GetDeviceTimeMs(), nil)}
	case *trainingv1.Command_Finish:
		ends := trainingcodec.EndsFromProto(o.Finish.GetStreams())
		c = training.Finish{Meta: meta, By: training.ByPerson, DeviceTime: unit.InstantMs(o.Finish.GetDeviceTimeMs()),
			EventTime: s.eventTime(now, o.Finish.GetDeviceTimeMs(), ends), Streams: ends}
	default:
		s.reply(from, nil, ErrMessage.With("%T", m.Command))
		return
	}
	s.take(now, s.machine.Submit(now, c, from))
}

// eventTime is a device's reading as the fold sees it: by the clock of the first stream named, else of the first
// attached one that has one. Nothing happens later than now.
func (s *Shell) eventTime(now step.Now, deviceMs int64, ends []training.StreamEnd) unit.InstantMs {
	if deviceMs <= 0 {
		return now.Node
	}
	for _, st := range s.machine.State().Streams {
		named := len(ends) == 0
		for _, e := range ends {
			named = named || e.Stream == st.Key.Stream
		}
		if f := s.factsOf(st.Key); named && len(f.Clocks) > 0 {
			return min(unit.InstantMs(deviceMs).Add(f.NewestOffset()), now.Node)
		}
	}
	return min(unit.InstantMs(deviceMs), now.Node)
}

func (s *Shell) onAttach(now step.Now, m *trainingv1.Attach) {
	st, err := trainingcodec.StreamFromProto(m.GetStream())
	if err != nil {
		s.refuse(st.Key, training.ErrStream.With("%v", err))
		return
	}
	s.submit(now, training.Attach{Meta: step.Meta{At: now.Node, By: "grain:" + deviceGrain(st.Key.Device).String()}, Stream: st, Sport: m.Sport},
		func(now step.Now, err error) {
			if err != nil {
				s.refuse(st.Key, err)
				return
			}
			h := s.hint(st.Key)
			h.facts = max(h.facts, m.FactsVersion)
			s.tellDevice(now, st.Key)
		})
}

func (s *Shell) refuse(k training.StreamKey, err error) {
	f := fault.Of(err)
	s.out(step.Send{To: deviceGrain(k.Device), Msg: &devicev1.Attached{Training: s.machine.Grain().ID, StreamId: k.Stream,
		Refused: &clusterv1.Fault{Kind: uint32(f.Kind), Code: f.Code, Message: f.Message, Retry: f.Retry, Detail: f.Detail}}})
}

// tellDevice says that the stream is attached, and to which race the workout is bound. The state may hold streams
// whose append is not committed: of those nothing is said.
func (s *Shell) tellDevice(now step.Now, k training.StreamKey) {
	if !s.sure[k] {
		return
	}
	m := &devicev1.Attached{Training: s.machine.Grain().ID, StreamId: k.Stream}
	if b := s.machine.State().Bound; b != nil {
		m.CompetitionId, m.Entry = b.Competition, b.Entry
	}
	s.hint(k).told = now.Wall
	s.out(step.Send{To: deviceGrain(k.Device), Msg: m})
}

func (s *Shell) onBind(now step.Now, m *trainingv1.Bind) {
	b := trainingcodec.BoundFromProto(m.GetBound())
	meta := step.Meta{At: now.Node, By: "grain:competition/" + b.Competition}
	if m.Unbind {
		s.submit(now, training.Unbind{Meta: meta, Competition: b.Competition, Version: b.Version}, nil)
		return
	}
	s.submit(now, training.Bind{Meta: meta, Bound: b}, func(_ step.Now, err error) {
		if err == nil {
			s.reportNow = true // it is repeated until a report shows the binding
		}
	})
}

func (s *Shell) onGet(now step.Now, from step.Return) {
	s.take(now, s.machine.Query(now, from, func(st *training.State, version uint64) (any, error) {
		out := &trainingv1.State{Phase: st.Phase.String(), Version: version, Totals: trainingcodec.TotalsToProto(st.Totals)}
		if st.Phase != training.PhaseNone {
			out.Started = trainingcodec.StartedToProto(st.Started)
		}
		if st.Phase == training.PhaseOver {
			out.Basis = track.TrainingBasis(st.Basis)
		} else if s.fold != nil {
			out.Basis = track.TrainingBasis(s.result.Basis)
			out.Totals = trainingcodec.TotalsToProto(s.result.Totals)
		}
		if st.Bound != nil {
			out.Bound = trainingcodec.BoundToProto(*st.Bound)
			for _, g := range st.Passages() {
				out.Gates = append(out.Gates, &trainingv1.Passed{Gate: g.Gate, AtUs: int64(g.At), BindingVersion: st.Bound.Version})
			}
		}
		return out, nil
	}))
}
