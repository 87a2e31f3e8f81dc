package devicegrain

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"paceline/actors/device"
	"paceline/actors/machine"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/api/telemetry"
	"paceline/domain/fault"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// maxJobs is how many jobs may wait in one lane; frames are bounded by their bytes.
const maxJobs = 256

// lane is one stream in this activation.
type lane struct {
	name string

	// What is durable, as far as this activation knows.
	known   bool   // the series has been read
	through uint64 // end of the unbroken cover
	tail    device.Tail
	recent  recent

	// Work, in the order in which it came, one thing at a time.
	queue     []work
	jobs      int                  // in queue
	running   func(f *fault.Fault) // of the job under way
	busy      bool                 // a read or a command is under way
	recording bool                 // a Recorded is in the queue or under way
	toClose   *closing             // closes that are in the queue; nil: none
	writes    []*write             // one, unless a test has switched the rule off

	// Who streams.
	opens       []*opening
	toLook      bool   // a look for them is in the queue and has not begun
	attached    bool   // the training has journalled the stream
	node        string // of the session
	session     string // empty: nobody has opened the stream in this activation
	held        holder
	before      []string // sessions that have had it, the last ones
	competition string
	entry       uint32
	control     control
}

// work is a frame or a job that needs the lane for itself.
type work struct {
	frame *frame
	job   func(now step.Now)
	fail  func(f *fault.Fault) // of a job: answers whoever asked for it
}

// frame waits to be stored.
type frame struct {
	batch   sample.Batch
	next    int // samples before it are handled or in flight
	size    int
	arrived uint64
	old     bool   // it makes up for what was missed: everybody else's live frames go first
	looked  bool   // the rows were read after it had come
	checked uint64 // seqs through here were compared with what is stored
	refused []*livev1.RefusedSample
	from    step.Return
}

// opening waits for the rows to be read and for the training.
type opening struct {
	from          step.Return
	node, session string
	offer         device.Offer
	until         unit.InstantMs // wall
	looked        bool
	holder
}

// holder is how a session has come by a stream.
type holder struct {
	at    unit.InstantMs // when its client has opened, by its node's clock
	again bool           // its gateway has opened for it: whether the client still lives is not known
}

// yields reports whether the session that has the stream gives it to another one. A client that opens gets it. A gateway that
// opens for a client may do so for one that has long gone on elsewhere: it gets the stream from nobody who has asked for it
// himself, and of two such the one whose client came last has it.
func (h holder) yields(o holder) bool { return !o.again || h.again && o.at > h.at }

// maxBefore is how many sessions a lane remembers that the stream was taken from: a client leaves one at a time.
const maxBefore = 8

// give lets a session stream from now on.
func (l *lane) give(o *opening) {
	if l.session != o.session || !o.again {
		l.held = o.holder
	}
	if l.session != "" && l.session != o.session {
		l.before = append(l.before, l.session)
		l.before = l.before[max(0, len(l.before)-maxBefore):]
	}
	l.session, l.node = o.session, o.node
}

// had reports whether the stream was taken from a session. Its client has gone on: an open of it that comes now was on its way
// for long, or is its gateway's that has not heard the answer.
func (l *lane) had(session string) bool { return slices.Contains(l.before, session) }

func (l *lane) idle() bool {
	return len(l.queue) == 0 && !l.busy && len(l.writes) == 0 && len(l.opens) == 0
}

func (s *Shell) laneNames() []string { return slices.Sorted(maps.Keys(s.lanes)) }

// lane is the stream's lane, made if it is the first time.
func (s *Shell) lane(name string) *lane {
	l := s.lanes[name]
	if l == nil {
		l = &lane{name: name}
		machine.Set(&s.lanes, name, l)
	}
	return l
}

// enqueue adds a job that needs the lane for itself; it calls release when it is done. fail answers whoever asked
// for it, should the activation end before.
func (s *Shell) enqueue(now step.Now, l *lane, job func(now step.Now), fail func(f *fault.Fault)) {
	if l.jobs >= maxJobs {
		fail(ErrOverloaded)
		return
	}
	l.jobs++
	l.queue = append(l.queue, work{job: job, fail: fail})
	s.pump(now, l)
}

func (s *Shell) release(now step.Now, l *lane) {
	l.busy, l.running = false, nil
	s.pump(now, l)
}

// pump goes on with the lane's work as far as it goes without an outcome.
func (s *Shell) pump(now step.Now, l *lane) {
	for !s.dead && !s.machine.Stopped() && !l.busy && len(l.queue) > 0 && (len(l.writes) == 0 || step.RuleOneWriteInFlight.Off()) {
		w := l.queue[0]
		if w.frame != nil {
			s.advance(now, l, w.frame)
			continue
		}
		if len(l.writes) > 0 {
			return
		}
		l.queue = l.queue[1:]
		l.jobs--
		l.busy, l.running = true, w.fail
		w.job(now)
	}
}

func (l *lane) bury(s *Shell, f *fault.Fault) {
	queue, opens := l.queue, l.opens
	l.queue, l.opens = nil, nil
	if l.running != nil {
		l.running(f)
	}
	for _, w := range queue {
		if w.frame != nil {
			s.reply(w.frame.from, nil, f)
		} else {
			w.fail(f)
		}
	}
	for _, o := range opens {
		s.reply(o.from, nil, f)
	}
	for _, w := range l.writes {
		for _, p := range w.pieces {
			if p.last {
				s.reply(p.frame.from, nil, f)
			}
		}
	}
}

// allowed finds the lane of a session that has the stream open.
func (s *Shell) allowed(name, session string) (*lane, error) {
	l := s.lanes[name]
	switch {
	case l == nil || l.session == "":
		return nil, ErrNotOpen
	case l.session != session && l.held.again:
		return nil, ErrNotOpen // perhaps the one that has it is the old one: who lives opens again
	case l.session != session:
		return nil, ErrReplaced
	}
	return l, nil
}

func (s *Shell) onFrame(now step.Now, m *devicev1.Frame, from step.Return) {
	t := m.GetTelemetry()
	l, err := s.allowed(t.GetStreamId(), m.Session)
	if err != nil {
		s.reply(from, nil, err)
		return
	}
	if now.Full {
		s.reply(from, nil, machine.ErrFull)
		return
	}
	f := &frame{size: proto.Size(t), old: t.GetBackfill(), from: from}
	if s.waiting+f.size > s.n.QueueBytes {
		s.reply(from, nil, ErrOverloaded)
		return
	}
	if err := telemetry.ToBatch(&f.batch, t); err != nil {
		s.reply(from, nil, err)
		return
	}
	s.arrived++
	f.arrived = s.arrived
	s.waiting += f.size
	l.queue = append(l.queue, work{frame: f})
	s.pump(now, l)
}

// dropHead answers the frame at the head of the queue and forgets it.
func (s *Shell) dropHead(l *lane, f *frame, err error) {
	l.queue = l.queue[1:]
	s.waiting -= f.size
	s.answer(l, f, err)
}

func (s *Shell) answer(l *lane, f *frame, err error) {
	if err != nil {
		s.reply(f.from, nil, err)
		return
	}
	done := l.frameDone()
	done.Refused = f.refused
	s.reply(f.from, done, nil)
}

// frameDone says what is durable.
func (l *lane) frameDone() *devicev1.FrameDone {
	return &devicev1.FrameDone{StreamId: l.name, ThroughSeq: l.through, CompetitionId: l.competition, Entry: l.entry}
}

// notice tells the session that streams now.
func (l *lane) notice(n *clusterv1.SessionNotice) step.Out {
	n.Session = l.session
	return step.ToNode{Node: l.node, Msg: n}
}
