package devicegrain

import (
	"paceline/actors/device"
	"paceline/actors/device/devicecodec"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// acknowledged answers a command that has nothing to say but its version.
func (s *Shell) acknowledged(from step.Return) func(now step.Now, a device.Answer, err error) {
	return func(_ step.Now, a device.Answer, err error) {
		if err != nil {
			s.reply(from, nil, err)
			return
		}
		s.reply(from, &clusterv1.Ack{Stream: s.machine.Grain().String(), Version: a.Version}, nil)
	}
}

func (s *Shell) onRegister(now step.Now, m *devicev1.Register, from step.Return) {
	s.submit(now, device.Register{Meta: meta(now, m.Call), Device: s.machine.Grain().ID,
		Particulars: devicecodec.RegisteredFromProto(m.Device)}, s.acknowledged(from))
}

func (s *Shell) onClaim(now step.Now, m *devicev1.Claim, from step.Return) {
	s.submit(now, device.Claim{Meta: meta(now, m.Call), Person: m.Person, Until: unit.InstantMs(m.UntilMs)}, s.acknowledged(from))
}

func (s *Shell) onRelease(now step.Now, m *devicev1.Release, from step.Return) {
	s.submit(now, device.Release{Meta: meta(now, m.Call)}, s.acknowledged(from))
}

// onClock counts from behind what is durable: another activation may have accepted beyond it, the journal decides.
func (s *Shell) onClock(now step.Now, m *devicev1.Clock, from step.Return) {
	l := s.lanes[m.StreamId]
	if l == nil || !l.known {
		s.reply(from, nil, ErrNotOpen)
		return
	}
	s.submit(now, device.SetClock{Meta: meta(now, m.Call), Stream: m.StreamId, Through: l.through,
		Offset: unit.DurationMs(m.OffsetMs), Error: unit.DurationMs(m.ErrorMs), Source: m.Source}, s.acknowledged(from))
}

func (s *Shell) onClose(now step.Now, m *devicev1.Close, from step.Return) {
	cmd := device.CloseStream{Meta: meta(now, m.Call), Stream: m.StreamId, LastSeq: m.LastSeq}
	if s.stream(m.StreamId) == nil {
		s.submit(now, cmd, s.acknowledged(from)) // refused, if the journal says so
		return
	}
	l := s.lane(m.StreamId)
	if c := l.toClose; c != nil && c.last == m.LastSeq && c.by == cmd.By && len(c.from) < maxJobs {
		c.from = append(c.from, from) // asked again, because nobody has answered: one look serves them all, as with opens
		return
	}
	c := &closing{last: m.LastSeq, by: cmd.By, from: []step.Return{from}}
	l.toClose = c
	s.enqueue(now, l, func(now step.Now) {
		l.begun(c)
		s.look(now, l, func(now step.Now) {
			cmd.Through = l.through
			s.inLane(now, l, cmd, c.from...)
		})
	}, func(f *fault.Fault) {
		l.begun(c)
		s.replyAll(c.from, nil, f)
	})
}

// closing is closes of one stream that wait for the lane.
type closing struct {
	last uint64
	by   string // one and the same: the rules ask who closes
	from []step.Return
}

// begun: whoever comes from now on needs another look.
func (l *lane) begun(c *closing) {
	if l.toClose == c {
		l.toClose = nil
	}
}

func (s *Shell) replyAll(to []step.Return, msg any, err error) {
	for _, from := range to {
		s.reply(from, msg, err)
	}
}

// inLane submits a command of a job, answers with what is durable, and lets the lane go on.
func (s *Shell) inLane(now step.Now, l *lane, c device.Command, from ...step.Return) {
	s.submit(now, c, func(now step.Now, _ device.Answer, err error) {
		if err != nil {
			s.replyAll(from, nil, err)
			s.release(now, l)
			return
		}
		l.through = s.stream(l.name).Jump(l.through)
		if k, ok := c.(device.Skip); !ok || len(k.Held) == 0 {
			s.replyAll(from, l.frameDone(), nil)
			s.release(now, l)
			return
		}
		s.look(now, l, func(now step.Now) { // over the skip the cover may go on with rows of others
			s.replyAll(from, l.frameDone(), nil)
			s.release(now, l)
		})
	})
}

func (s *Shell) onSkip(now step.Now, m *devicev1.SkipSeqs, from step.Return) {
	l, err := s.allowed(m.GetSkip().GetStreamId(), m.Session)
	if err != nil {
		s.reply(from, nil, err)
		return
	}
	s.enqueue(now, l, func(now step.Now) { s.skip(now, l, m, from) }, func(f *fault.Fault) { s.reply(from, nil, f) })
}

// skip reads the rows again, then the journal, and declares lost only what nothing holds.
func (s *Shell) skip(now step.Now, l *lane, m *devicev1.SkipSeqs, from step.Return) {
	cmd := device.Skip{Meta: meta(now, m.Call), Stream: l.name, Want: device.Span{From: m.Skip.FromSeq, To: m.Skip.ToSeq},
		Through: l.through, Reason: m.Skip.Reason}
	if events, err := device.Decide(s.machine.State(), cmd); err != nil || len(events) == 0 || step.RuleReadBeforeRefuse.Off() {
		s.inLane(now, l, cmd, from)
		return
	}
	facts := s.stream(l.name)
	query := persistence.SeriesQuery{Key: s.seriesKey(facts), From: cmd.Want.From, To: cmd.Want.To, Skips: spans(facts.Skips)}
	s.until(now, persistence.ReadSeriesOp{Query: query}, func(now step.Now, result any) {
		for _, b := range result.(persistence.SeriesRead).Batches {
			cmd.Held = append(cmd.Held, device.Span{From: b.FirstSeq, To: b.LastSeq()})
		}
		s.look(now, l, func(now step.Now) {
			cmd.Through = l.through
			s.inLane(now, l, cmd, from)
		})
	})
}

// onRecorded takes the recording as the floor once it was read back. The training repeats its message until the
// echo, so what cannot be taken is simply not echoed.
func (s *Shell) onRecorded(now step.Now, m *devicev1.Recorded) {
	facts := s.stream(m.StreamId)
	if facts == nil || facts.Opening.Training != m.Training || len(m.Digest) != 32 || len(m.Recording) != 32 {
		return
	}
	l := s.lane(m.StreamId)
	if l.recording {
		return // the one before is under way
	}
	l.recording = true
	s.enqueue(now, l, func(now step.Now) {
		if !l.known || m.ThroughSeq <= l.through {
			s.record(now, l, m)
			return
		}
		s.look(now, l, func(now step.Now) { s.record(now, l, m) }) // another activation took what it holds
	}, func(*fault.Fault) { l.recording = false })
}

func (s *Shell) record(now step.Now, l *lane, m *devicev1.Recorded) {
	end := func(now step.Now) {
		l.recording = false
		s.release(now, l)
		f := s.stream(l.name)
		if f.Closed && f.Floor.Through >= f.ClosedAt && l.idle() {
			delete(s.lanes, l.name) // over: whoever asks again finds it in the journal
		}
	}
	o := s.stream(l.name).Opening
	op := persistence.GetRecordingOp{Subject: o.Person, Workout: o.Training, Digest: [32]byte(m.Recording)}
	s.until(now, op, func(now step.Now, result any) {
		r := s.recorded(result.(*persistence.Recording), l.name)
		if r == nil || r.Through != m.ThroughSeq || r.Digest != [32]byte(m.Digest) {
			end(now)
			return
		}
		cmd := device.Record{Meta: step.Meta{At: now.Node, By: "grain:" + trainingOf(o).String()}, Training: m.Training,
			Stream: l.name, Through: r.Through, Digest: r.Digest, Recording: [32]byte(m.Recording)}
		for _, k := range r.Skips {
			cmd.Skips = append(cmd.Skips, device.Span{From: k.From, To: k.To})
		}
		s.submit(now, cmd, func(now step.Now, a device.Answer, err error) {
			switch {
			case err != nil:
				s.tell(l.name, nil) // it was made without a fact that the journal has
			case a.Event == nil:
				s.dropRows(now, l.name) // journalled before; perhaps the activation died then
			}
			if err == nil && l.known {
				l.through = max(l.through, s.stream(l.name).Floor.Through)
			}
			end(now)
		})
	})
}

// dropRows deletes what lies wholly below the journalled floor, and echoes it.
func (s *Shell) dropRows(now step.Now, stream string) {
	facts := s.stream(stream)
	floor, to := facts.Floor, trainingOf(facts.Opening)
	op := persistence.DeleteThroughOp{Key: s.seriesKey(facts), Through: floor.Through}
	s.until(now, op, func(_ step.Now, _ any) {
		s.out(step.Send{To: to, Msg: &trainingv1.RecordedEcho{Device: s.machine.Grain().ID, StreamId: stream,
			ThroughSeq: floor.Through, Digest: floor.Digest[:]}})
	})
}

func (s *Shell) onGet(now step.Now, from step.Return) {
	s.take(now, s.machine.Query(now, from, func(st *device.State, version uint64) (any, error) {
		if !st.Registered {
			return nil, device.ErrNotRegistered
		}
		out := &devicev1.State{Device: devicecodec.RegisteredToProto(st.Device), ClaimedBy: st.Claim.Person,
			ClaimedUntilMs: int64(st.Claim.Until), Version: version}
		for _, name := range st.StreamIDs() {
			f := st.Streams[name]
			state := &devicev1.StreamState{StreamId: name, Training: f.Opening.Training, RecordedThrough: f.Floor.Through}
			if f.Closed {
				state.ClosedAtSeq = f.ClosedAt
			}
			if l := s.lanes[name]; l != nil {
				state.ThroughSeq = l.through
			}
			out.Streams = append(out.Streams, state)
		}
		return out, nil
	}))
}
