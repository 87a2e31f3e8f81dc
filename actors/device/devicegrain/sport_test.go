package devicegrain

import (
	"testing"

	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/sample"
)

// speeds is samples of these speeds, one a second from seq on.
func speeds(from uint64, mmS ...int64) *sample.Batch {
	b := samples(from, from+uint64(len(mmS))-1)
	col := &b.Columns[sample.SpeedMmS]
	col.Grow(len(mmS))
	for i, v := range mmS {
		col.Set(i, v)
	}
	return b
}

func openAs(session, sport string) *devicev1.Open {
	m := openMsg(session)
	m.Open.Sport = sport
	m.Open.Channels = append(m.Open.Channels, &livev1.ChannelSpec{Channel: livev1.Channel_CHANNEL_SPEED_MM_S, Trust: livev1.Trust_TRUST_MEASURED})
	return m
}

// What a stream was opened with judges its samples for ever: 13 m/s is no run, whichever activation looks, and also
// when a later opening says nothing of the sport. Without a sport it may be.
func TestAStreamIsJudgedByItsSport(t *testing.T) {
	for sport, refused := range map[string]int{"run": 1, "ride": 0, "": 0, "swim": 2} {
		r := newRig(t)
		a := r.registered()
		open := a.ask(openAs("x", sport))
		if open.err != nil {
			t.Fatalf("%q: %v", sport, open.err)
		}
		for _, m := range sentOf[*trainingv1.Attach](r) {
			if m.Sport != sport {
				t.Errorf("%q: the training is told of %q", sport, m.Sport)
			}
		}
		first := a.ask(frameMsg("x", speeds(1, 4000, 13_000)))
		b := r.activate()
		if again := b.ask(openAs("y", "")); again.err != nil {
			t.Fatalf("%q: another activation: %v", sport, again.err)
		}
		second := b.ask(frameMsg("y", speeds(3, 4000, 13_000)))
		for name, c := range map[string]*call{"the first": first, "another": second} {
			done, ok := c.msg.(*devicev1.FrameDone)
			if !ok || len(done.Refused) != refused {
				t.Errorf("%q: %s activation refuses %v (%v), want %d", sport, name, done.GetRefused(), c.err, refused)
			}
		}
	}
}

func TestAStreamOfAnUnknownSport(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.ask(openAs("x", "running")).refusedWith(t, "stream.sport")
	if c := a.ask(openAs("x", "run")); c.err != nil {
		t.Errorf("the right name afterwards: %v", c.err)
	}
	a.ask(openAs("y", "ride")).refusedWith(t, "stream.differs")
}
