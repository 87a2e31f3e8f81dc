package devicegrain

import (
	"slices"

	"paceline/actors/device"
	"paceline/actors/device/devicecodec"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// oldOpen is more than what an open takes on its way, and than clocks of nodes differ by.
const oldOpen = 15 * unit.Second

func (s *Shell) onOpen(now step.Now, m *devicev1.Open, from step.Return) {
	o := m.GetOpen()
	channels, err := devicecodec.ChannelsFromProto(o.GetChannels())
	if err != nil {
		s.reply(from, nil, device.ErrChannels.With("%v", err))
		return
	}
	if m.Session == "" {
		s.reply(from, nil, ErrMessage.With("open without a session"))
		return
	}
	offer := offerOf(o.GetControl())
	if err := offer.Check(); err != nil {
		s.reply(from, nil, err)
		return
	}
	cmd := device.OpenStream{
		Meta: meta(now, m.Call), Stream: o.GetStreamId(), Workout: o.GetWorkoutId(), Person: o.GetPersonId(),
		Clock: devicecodec.ClockFromProto(o.GetClock()), Channels: channels, Sport: o.GetSport(),
		DeviceTime: unit.InstantMs(o.GetDeviceTimeMs()), NodeTime: unit.InstantMs(m.NodeTimeMs),
	}
	s.submit(now, cmd, func(now step.Now, _ device.Answer, err error) {
		if err != nil {
			s.reply(from, nil, err)
			return
		}
		s.opened(now, cmd.Stream, &opening{from: from, node: m.Node, session: m.Session, offer: offer, until: now.Wall.Add(s.n.OpenWait),
			holder: holder{at: cmd.NodeTime, again: againOf(now, m)}})
	})
}

// againOf is whether a gateway opens for its client. One of a release that does not say it names the time at which the client
// has opened; that of a client is now.
func againOf(now step.Now, m *devicev1.Open) bool {
	if m.Again != nil {
		return *m.Again
	}
	return now.Node.Sub(unit.InstantMs(m.NodeTimeMs)) > oldOpen
}

// meta is who asks, and when, for the rules.
func meta(now step.Now, c *clusterv1.Call) step.Meta {
	return step.Meta{At: now.Node, By: c.GetBy(), CommandID: c.GetCommandId(), Trace: c.GetTrace()}
}

// opened goes on when the stream is in the journal: the rows are read, and the training is told until it answers. One look
// serves all opens that have come before it begins: whoever hears nothing asks again, and a slow store must not be asked for
// more because of it.
func (s *Shell) opened(now step.Now, stream string, o *opening) {
	l := s.lane(stream)
	if len(l.opens) >= maxJobs {
		s.reply(o.from, nil, ErrOverloaded)
		return
	}
	l.opens = append(l.opens, o)
	if !l.attached && len(l.opens) == 1 {
		s.attach(now, l)
	}
	if l.toLook {
		return
	}
	l.toLook = true
	s.enqueue(now, l, func(now step.Now) {
		l.toLook = false
		served := slices.Clone(l.opens)
		s.look(now, l, func(now step.Now) {
			for _, o := range served {
				o.looked = true
			}
			s.grant(l)
			s.release(now, l)
		})
	}, func(f *fault.Fault) {
		l.toLook = false
		s.forget(l, o, f)
	})
}

// forget answers an open that cannot be granted.
func (s *Shell) forget(l *lane, o *opening, f *fault.Fault) {
	if i := slices.Index(l.opens, o); i >= 0 {
		l.opens = slices.Delete(l.opens, i, i+1)
		s.reply(o.from, nil, f)
	}
}

// attach tells the training of the stream, again and again while somebody waits for its answer.
func (s *Shell) attach(now step.Now, l *lane) {
	if l == nil {
		return
	}
	waiting := l.opens[:0]
	for _, o := range l.opens {
		if !l.attached && o.until <= now.Wall {
			s.reply(o.from, nil, ErrNoTraining)
			continue
		}
		waiting = append(waiting, o)
	}
	l.opens = waiting
	if l.attached || len(l.opens) == 0 {
		return
	}
	o := s.stream(l.name).Opening
	s.out(step.Send{To: trainingOf(o), Msg: &trainingv1.Attach{
		Stream: &trainingv1.StreamAttached{Device: s.machine.Grain().ID, StreamId: l.name,
			Clock: livev1.ClockKind(o.Clock), Channels: devicecodec.ChannelsToProto(o.Channels)},
		FactsVersion: s.facts, Sport: o.Sport,
	}}, step.After{Key: tickAttach + l.name, At: now.Wall.Add(s.n.AttachEvery)})
}

func trainingOf(o device.StreamOpened) id.Grain { return id.Grain{Kind: id.Training, ID: o.Training} }

func (s *Shell) onAttached(now step.Now, m *devicev1.Attached) {
	l := s.lanes[m.StreamId]
	if l == nil || s.stream(m.StreamId).Opening.Training != m.Training {
		return // of another activation, or forged: whoever opens next asks again
	}
	if m.Refused != nil {
		if l.attached {
			return // an old answer on a long way
		}
		opens := l.opens
		l.opens = nil
		for _, o := range opens {
			s.reply(o.from, nil, faultOf(m.Refused))
		}
		return
	}
	l.attached = true
	bound := l.competition != m.CompetitionId || l.entry != m.Entry
	l.competition, l.entry = m.CompetitionId, m.Entry
	if bound && l.session != "" {
		s.out(l.notice(&clusterv1.SessionNotice{What: &clusterv1.SessionNotice_Binding{Binding: &clusterv1.StreamBinding{
			StreamId: l.name, CompetitionId: l.competition, Entry: l.entry}}}))
	}
	s.grant(l)
}

func faultOf(f *clusterv1.Fault) *fault.Fault {
	return &fault.Fault{Kind: fault.Kind(f.Kind), Code: f.Code, Message: f.Message, Retry: f.Retry, Detail: f.Detail}
}

// grant answers the opens for which rows and training are there. The last one streams; the one before is told.
func (s *Shell) grant(l *lane) {
	if !l.attached && !step.RuleAttachFirst.Off() {
		return
	}
	waiting := l.opens[:0:0]
	for _, o := range l.opens {
		if !o.looked {
			waiting = append(waiting, o)
			continue
		}
		if l.session != "" && l.session != o.session {
			if !l.held.yields(o.holder) {
				s.reply(o.from, nil, ErrNotOpen)
				continue
			}
			if l.had(o.session) {
				s.reply(o.from, nil, ErrReplaced)
				continue
			}
			s.out(l.notice(&clusterv1.SessionNotice{What: &clusterv1.SessionNotice_Replaced{
				Replaced: &clusterv1.StreamReplaced{StreamId: l.name}}}))
		}
		l.give(o)
		l.control.offered(o.offer)
		s.reply(o.from, &devicev1.OpenDone{StreamId: l.name, ThroughSeq: l.through,
			Training: s.stream(l.name).Opening.Training, CompetitionId: l.competition, Entry: l.entry}, nil)
		s.tell(l.name, nil)
	}
	l.opens = waiting
}

// tell gives the training a hint: what is durable, and the samples to save it the read. It may be lost. The state may hold
// a close that is not committed: of that nothing is said.
func (s *Shell) tell(stream string, b *sample.Batch) {
	facts := s.stream(stream)
	closedAt, closed := s.closes[stream]
	hint := &trainingv1.Block{Device: s.machine.Grain().ID, StreamId: stream, FactsVersion: s.facts, Closed: closed, ClosedAtSeq: closedAt}
	if l := s.lanes[stream]; l != nil {
		hint.Control = l.session != "" && l.control.offer.Enabled
	}
	if b != nil {
		hint.FirstSeq, hint.LastSeq, hint.Samples = b.FirstSeq, b.LastSeq(), persistence.AppendBlock(nil, b)
	} else if l := s.lanes[stream]; l != nil && l.through > 0 {
		hint.FirstSeq, hint.LastSeq = 1, l.through
	}
	s.out(step.Send{To: trainingOf(facts.Opening), Msg: hint})
}
