package world

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"paceline/api/gen/paceline/cluster/v1"
	"paceline/api/gen/paceline/competition/v1"
	"paceline/api/gen/paceline/device/v1"
	"paceline/api/gen/paceline/live/v1"
	"paceline/api/gen/paceline/training/v1"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/unit"
)

// resendAfter is how long a client waits for an answer.
const resendAfter = 3 * unit.Second

// try sends a message until an answer comes that is not "try again"; then calls done with it. All a client does
// beyond that is nothing.
func (w *World) try(to id.Grain, msg proto.Message, done func(any, error)) {
	answered := false
	var send func()
	send = func() {
		if answered {
			return
		}
		w.ask(to, msg, func(reply any, err error) {
			if answered {
				return
			}
			var f *fault.Fault
			if err != nil && errors.As(err, &f) && f.Retry {
				return // the timer below asks again
			}
			answered = true
			done(reply, err)
		})
		w.in(resendAfter, send)
	}
	send()
}

// call is who a client is, and a command id that a repeat keeps.
func (w *World) call(by string) *clusterv1.Call {
	return &clusterv1.Call{CommandId: id.New(w.node(w.wall), random10(w.clock.rand)), By: by}
}

// must fails the world on a refusal that the plan does not expect.
func (w *World) must(what string, then func(any)) func(any, error) {
	return func(reply any, err error) {
		if err != nil {
			w.failf("%s was refused: %v", what, err)
			return
		}
		if then != nil {
			then(reply)
		}
	}
}

// organize opens the race: create, entries, lock, start, penalties.
func (w *World) organize() {
	to := id.Of(id.Competition, w.plan.competition)
	operator := "operator:world"
	var steps []*competitionv1.Command
	steps = append(steps, &competitionv1.Command{Command: &competitionv1.Command_Create{Create: w.plan.definition}})
	for _, r := range w.plan.riders {
		steps = append(steps, &competitionv1.Command{Command: &competitionv1.Command_AddEntry{AddEntry: &competitionv1.EntryAdded{
			Entry: r.entry, UserId: r.user, Category: "open", StartOffsetMs: r.offsetMs, Wave: uint32(r.offsetMs / 10_000)}}})
	}
	steps = append(steps, &competitionv1.Command{Command: &competitionv1.Command_Lock{Lock: &competitionv1.Lock{}}})
	var next func(i int)
	next = func(i int) {
		if i == len(steps) {
			w.raceOpen = true
			for i := range w.plan.riders {
				w.ride(&w.plan.riders[i])
			}
			return
		}
		steps[i].Call = w.call(operator)
		w.try(to, steps[i], w.must(fmt.Sprintf("organizer's step %d", i), func(any) { next(i + 1) }))
	}
	next(0)
}

// startRace is asked for by every rider that is bound; the last one starts it.
func (w *World) startRace() {
	w.bound++
	if w.bound < len(w.plan.riders) {
		return
	}
	to := id.Of(id.Competition, w.plan.competition)
	w.try(to, &competitionv1.Command{Call: w.call("operator:world"), Command: &competitionv1.Command_Start{
		Start: &competitionv1.StartRace{GunAtMs: int64(w.plan.gun)}}}, w.must("start", nil))
	for _, r := range w.plan.riders {
		if r.penalty != 0 {
			w.try(to, &competitionv1.Command{Call: w.call("operator:world"), Command: &competitionv1.Command_Penalty{
				Penalty: &competitionv1.PenaltyAdded{Entry: r.entry, PenaltyMs: r.penalty, Reason: "world"}}}, w.must("penalty", nil))
		}
	}
}

// ride registers the devices, starts the workout, joins, and streams.
func (w *World) ride(r *rider) {
	athlete := "athlete:" + r.user
	training := id.Scoped(id.Training, r.user, r.workout)
	start := func() {
		if w.faults.Gateways {
			w.startLive(r)
			return
		}
		w.try(training, &trainingv1.Command{Call: w.call(athlete), Command: &trainingv1.Command_Start{Start: &trainingv1.Start{
			WorkoutId: r.workout, Start: &livev1.StartWorkout{Sport: "run", Zone: "Europe/Zurich", UtcOffsetS: 3600}}}},
			w.must("start_workout", func(any) {
				w.try(id.Of(id.Competition, w.plan.competition), &competitionv1.Command{Call: w.call(athlete),
					Command: &competitionv1.Command_Join{Join: &competitionv1.Join{UserId: r.user, Training: training.ID}}},
					w.must("join", func(any) { w.startRace() }))
				for i := range r.streams {
					w.feed(r, &r.streams[i])
				}
			}))
	}
	registered := 0
	for i := range r.streams {
		w.try(id.Grain{Kind: id.Device, ID: r.streams[i].device}, &devicev1.Register{Call: w.call("operator:world"),
			Device: &devicev1.Registered{Owner: r.user, Name: "device", OrganizationId: id.DefaultOrganization}},
			w.must("register device", func(any) {
				if registered++; registered == len(r.streams) {
					start()
				}
			}))
	}
}

// source is a client at work on one stream: what is acknowledged, and what is under way.
type source struct {
	w       *World
	r       *rider
	s       *stream
	session string
	n       int // sessions so far
	open    bool
	clocked bool
	acked   uint64
	sending bool
	skipped bool
	done    bool

	keptBack int
	marked   bool

	// Of a world with gateways.
	line    *line
	sent    uint64         // the last seq that is under way
	under   int            // frames
	heard   unit.InstantMs // wall
	looking bool
}

func (w *World) feed(r *rider, s *stream) {
	src := &source{w: w, r: r, s: s, keptBack: max(s.kept, w.keepBack[s.id])}
	w.sources = append(w.sources, src)
	if w.faults.Gateways {
		src.connect()
		return
	}
	src.reopen()
}

func (c *source) grain() id.Grain { return id.Grain{Kind: id.Device, ID: c.s.device} }

// reopen begins a session, on one of two gateways.
func (c *source) reopen() {
	c.n++
	session := fmt.Sprintf("%s#%d", c.s.id, c.n)
	c.session, c.open, c.sending = session, false, false
	w := c.w
	w.try(c.grain(), &devicev1.Open{Call: &clusterv1.Call{By: "device:" + c.s.device}, Node: fmt.Sprintf("g%d", c.n%2), Session: session,
		NodeTimeMs: int64(w.now().Node), Open: &livev1.OpenStream{DeviceId: c.s.device, StreamId: c.s.id, WorkoutId: c.r.workout,
			PersonId: c.r.user, Channels: c.channels(), Clock: c.s.kind, Sport: "run", DeviceTimeMs: int64(w.now().Node) - c.s.openOff()}},
		func(reply any, err error) {
			if c.session != session {
				return
			}
			if err != nil {
				w.failf("open_stream: %v", err)
				return
			}
			c.open = true
			c.acked = max(c.acked, reply.(*devicev1.OpenDone).ThroughSeq)
			c.clock()
		})
}

func (c *source) channels() []*livev1.ChannelSpec {
	channels := []*livev1.ChannelSpec{
		{Channel: livev1.Channel_CHANNEL_HEART_RATE_BPM, Trust: c.s.trust},
		{Channel: livev1.Channel_CHANNEL_DISTANCE_MM, Trust: c.s.trust}}
	if c.s.lat != nil {
		channels = append(channels, &livev1.ChannelSpec{Channel: livev1.Channel_CHANNEL_LAT_E7, Trust: c.s.trust},
			&livev1.ChannelSpec{Channel: livev1.Channel_CHANNEL_LON_E7, Trust: c.s.trust})
	}
	return channels
}

// clock offers the true offset once, before the first sample.
func (c *source) clock() {
	if c.clocked || c.s.openOff() == 0 {
		c.pump()
		return
	}
	c.request(&devicev1.Clock{Call: c.w.call("device:" + c.s.device), StreamId: c.s.id, OffsetMs: c.s.clockOff, ErrorMs: 20, Source: "ping"},
		func() { c.clocked = true; c.pump() })
}

// request asks the device something that needs an open stream: without an answer, or if it is not open (any more),
// the stream is opened again, and everything from there on is done again.
func (c *source) request(msg proto.Message, done func()) {
	w, session, answered := c.w, c.session, false
	w.ask(c.grain(), msg, func(_ any, err error) {
		if answered || c.session != session {
			return
		}
		answered = true
		if err == nil {
			done()
			return
		}
		w.count("refused: " + fault.Of(err).Code)
		w.in(unit.Second, func() {
			if c.session == session {
				c.reopen()
			}
		})
	})
	w.in(resendAfter, func() {
		if !answered && c.session == session {
			c.reopen()
		}
	})
}

// length is how many samples there will be: a script may keep the last ones back.
func (c *source) length() int { return len(c.s.atMs) - c.keptBack }

// have is how many samples have been measured by now.
func (c *source) have() int {
	now := int64(c.w.now().Node) - c.s.clockOff
	n := 0
	for n < c.length() && c.s.atMs[n] <= now {
		n++
	}
	return n
}

// pump sends the next batch when there is one, and looks again in a second.
func (c *source) pump() {
	if c.done || !c.open || c.sending {
		return
	}
	w, have := c.w, c.have()
	if c.s.mark > 0 && c.s.mark == int(c.acked) && !c.marked {
		c.marked = true
		if w.onMark != nil && w.onMark(c) {
			return // the script goes on with pump
		}
	}
	switch {
	case int(c.acked) >= c.length():
		c.done = true
		w.streamDone(c.r)
		return
	case have <= int(c.acked), c.atHole() && have < c.s.lost[1]:
		session := c.session
		w.in(unit.Second, func() {
			if c.session == session {
				c.pump()
			}
		})
		return
	}
	if c.atHole() {
		c.declareSkip()
		return
	}
	to := min(have, int(c.acked)+1+w.clock.rand.IntN(20))
	if l := c.s.lost; int(c.acked) < l[0] {
		to = min(to, l[0])
	}
	if int(c.acked) < c.s.mark {
		to = min(to, c.s.mark)
	}
	from := int(c.acked)
	if from > 0 && w.chance(w.faults.ClientResend) {
		from = max(0, from-w.clock.rand.IntN(10)) // again, cut elsewhere
		if l := c.s.lost; from < l[1] && from >= l[0] || from < l[0] && to > l[0] {
			from = int(c.acked)
		}
	}
	c.send(from, to)
}

// atHole reports whether the next sample is one that the device has lost.
func (c *source) atHole() bool {
	l := c.s.lost
	return l[1] > l[0] && int(c.acked) >= l[0] && int(c.acked) < l[1]
}

func (c *source) declareSkip() {
	c.sending = true
	l := c.s.lost
	c.request(&devicev1.SkipSeqs{Call: c.w.call("device:" + c.s.device), Session: c.session, Skip: &livev1.Skip{
		StreamId: c.s.id, FromSeq: uint64(l[0] + 1), ToSeq: uint64(l[1]), Reason: "lost"}},
		func() {
			c.skipped, c.sending = true, false
			c.acked = max(c.acked, uint64(l[1]))
			c.pump()
		})
}

// send is one frame; a resent copy may go through another gateway at the same time.
func (c *source) send(from, to int) {
	c.sending = true
	session, w := c.session, c.w
	frame := &devicev1.Frame{Session: session, Telemetry: c.frame(from, to)}
	answered := false
	w.ask(c.grain(), frame, func(reply any, err error) {
		if answered || c.session != session {
			return
		}
		answered = true
		c.answer(reply, err)
	})
	w.in(resendAfter, func() {
		if !answered && c.session == session && !c.done {
			answered = true
			c.sending = false
			if w.chance(0.3) {
				c.reopen()
				return
			}
			c.pump()
		}
	})
}

func (c *source) answer(reply any, err error) {
	c.sending = false
	if err == nil {
		done := reply.(*devicev1.FrameDone)
		if len(done.Refused) > 0 {
			c.w.failf("samples refused: %v", done.Refused)
		}
		c.acked = max(c.acked, done.ThroughSeq)
		if c.s.lost[1] > c.s.lost[0] && int(c.acked) >= c.s.lost[1] {
			c.skipped = true
		}
		c.pump()
		return
	}
	switch f := fault.Of(err); {
	case f.Code == "stream.not_open" || f.Code == "stream.replaced" || f.Code == "stream.gap":
		c.w.count("client reopens: " + f.Code)
		session := c.session
		c.w.in(unit.Second, func() {
			if c.session == session {
				c.reopen()
			}
		})
	case f.Retry:
		c.sending = true
		session := c.session
		c.w.in(unit.Second, func() {
			if c.session == session {
				c.sending = false
				c.pump()
			}
		})
	default:
		c.w.failf("telemetry refused: %v", err)
	}
}

func (c *source) frame(from, to int) *livev1.Telemetry {
	s := c.s
	t := &livev1.Telemetry{StreamId: s.id, FirstSeq: uint64(from + 1), BaseTimeMs: s.atMs[from]}
	before := s.atMs[from]
	for _, at := range s.atMs[from:to] {
		t.AtDeltaMs = append(t.AtDeltaMs, at-before)
		before = at
	}
	column := func(ch livev1.Channel, v []int64) {
		if v != nil {
			t.Columns = append(t.Columns, &livev1.Column{Channel: ch, Values: append([]int64(nil), v[from:to]...)})
		}
	}
	column(livev1.Channel_CHANNEL_HEART_RATE_BPM, s.heartRate)
	column(livev1.Channel_CHANNEL_DISTANCE_MM, s.distanceMm)
	column(livev1.Channel_CHANNEL_LAT_E7, s.lat)
	column(livev1.Channel_CHANNEL_LON_E7, s.lon)
	return t
}

// streamDone finishes the workout when all its streams are acknowledged.
func (w *World) streamDone(r *rider) {
	var ends []*livev1.StreamEnd
	for _, c := range w.sources {
		if c.r != r {
			continue
		}
		if !c.done {
			return
		}
		ends = append(ends, &livev1.StreamEnd{StreamId: c.s.id, LastSeq: uint64(c.length())})
	}
	if len(ends) < len(r.streams) || w.onFinish != nil && w.onFinish(r) {
		return
	}
	if w.faults.Gateways {
		w.athlete(r, &livev1.Command{Command: &livev1.Command_FinishWorkout{FinishWorkout: &livev1.FinishWorkout{
			DeviceTimeMs: int64(w.now().Node), Streams: ends}}}, func() { w.finished++ })
		return
	}
	w.try(id.Scoped(id.Training, r.user, r.workout), &trainingv1.Command{Call: w.call("athlete:" + r.user),
		Command: &trainingv1.Command_Finish{Finish: &livev1.FinishWorkout{DeviceTimeMs: int64(w.now().Node), Streams: ends}}},
		w.must("finish_workout", func(any) { w.finished++ }))
}
