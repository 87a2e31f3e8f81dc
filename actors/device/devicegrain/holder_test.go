package devicegrain

import (
	"testing"

	devicev1 "paceline/api/gen/paceline/device/v1"
	"paceline/persistence"
)

// TestWhoHasTheStream: a gateway opens for its client when the grain has forgotten the session, and that client may long have gone
// on elsewhere. It takes the stream from nobody whose client has opened; and the one that is there is not sent away for good.
func TestWhoHasTheStream(t *testing.T) {
	const began = 1_718_462_000_000
	again := func(session string, openedAt int64) *devicev1.Open {
		m, yes := openMsg(session), true
		m.NodeTimeMs, m.Again = openedAt, &yes
		return m
	}
	itself := func(session string, openedAt int64) *devicev1.Open {
		m, no := openMsg(session), false
		m.NodeTimeMs, m.Again = openedAt, &no
		return m
	}
	r := newRig(t)
	a := r.registered()
	told := func(session string) {
		t.Helper()
		last := r.notices[len(r.notices)-1]
		if last.Session != session || last.GetReplaced().GetStreamId() != "s1" {
			t.Errorf("told: %v, want %s", last, session)
		}
	}
	granted := func(m *devicev1.Open) {
		t.Helper()
		if c := a.ask(m); c.err != nil {
			t.Fatalf("open of %s = %v", m.Session, c.err)
		}
	}
	granted(itself("old", began))
	granted(itself("new", began+5))
	told("old")
	a.ask(again("old", began)).refusedWith(t, "stream.not_open")
	a.ask(again("old", began+9)).refusedWith(t, "stream.not_open") // by a clock that is ahead
	a.ask(frameMsg("new", samples(1, 2))).through(t)
	before := len(r.notices)

	a = r.activate() // which knows of neither
	r.settle()
	granted(again("old", began))
	a.ask(frameMsg("new", samples(3, 4))).refusedWith(t, "stream.not_open") // not replaced: its client lives
	granted(again("new", began+5))
	told("old")
	a.ask(again("old", began)).refusedWith(t, "stream.not_open")
	a.ask(frameMsg("new", samples(3, 4))).through(t)
	granted(itself("third", began-9)) // a client that opens now, by a clock that is behind
	told("new")
	granted(again("third", began-9)) // its gateway, once more: it stays the client's own
	a.ask(frameMsg("new", samples(5, 6))).refusedWith(t, "stream.replaced")
	if n := len(r.notices) - before; n != 2 {
		t.Errorf("%d sessions were told that they had been replaced, want 2", n)
	}

	// What a client has sent before it left is on its way for long, or sent again by a gateway that has not heard the answer.
	a.ask(itself("old", began)).refusedWith(t, "stream.replaced")
	a.ask(itself("new", began+5)).refusedWith(t, "stream.replaced")
	a.ask(frameMsg("third", samples(5, 6))).through(t)
	if n := len(r.notices) - before; n != 2 {
		t.Errorf("%d sessions were told that they had been replaced, want 2", n)
	}

	// A release that does not say which it is names the time at which its client has opened.
	now := int64(r.now().Node)
	granted(itself("newest", now))
	silent := openMsg("silent")
	silent.NodeTimeMs = now - int64(oldOpen) - 1
	a.ask(silent).refusedWith(t, "stream.not_open")
	silent.NodeTimeMs = now - int64(oldOpen)
	granted(silent)
}

// TestOpensThatWaitShareALook: a slow store is asked twice for however many opens: those that were there when the first look
// began, and those that have come since.
func TestOpensThatWaitShareALook(t *testing.T) {
	const many = 30
	r := newRig(t)
	a := r.registered()
	a.open("x")
	looks := 0
	a.fate = func(op persistence.Op) fate {
		if _, ok := op.(persistence.RecoverSeriesOp); !ok {
			return works
		}
		looks++
		return held
	}
	var all []*call
	for range many {
		all = append(all, a.send(openMsg("x")))
		r.settle()
	}
	for range 3 {
		a.release(works)
	}
	for i, c := range all {
		if done, ok := c.msg.(*devicev1.OpenDone); c.answers != 1 || c.err != nil || !ok || done.StreamId != "s1" {
			t.Errorf("open %d: %d answers, %v, %v", i+1, c.answers, c.msg, c.err)
		}
	}
	if looks != 2 {
		t.Errorf("%d looks for %d opens, want 2", looks, many)
	}

	// So do closes.
	looks = 0
	all = nil
	for range many {
		all = append(all, a.send(&devicev1.Close{StreamId: "s1", LastSeq: 0}))
		r.settle()
	}
	for range 3 {
		a.release(works)
	}
	for i, c := range all {
		if _, ok := c.msg.(*devicev1.FrameDone); c.answers != 1 || c.err != nil || !ok {
			t.Errorf("close %d: %d answers, %v, %v", i+1, c.answers, c.msg, c.err)
		}
	}
	if looks != 2 {
		t.Errorf("%d looks for %d closes, want 2", looks, many)
	}
}

// TestALookSeesWhatCameBeforeItsOpen: what another activation has written before an open comes is seen by the look that serves it.
func TestALookSeesWhatCameBeforeItsOpen(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	a.fate = func(op persistence.Op) fate {
		if _, ok := op.(persistence.RecoverSeriesOp); ok {
			return held
		}
		return works
	}
	first := a.send(openMsg("x"))
	r.settle()
	r.put(samples(1, 4))
	second := a.send(openMsg("x"))
	r.settle()
	a.release(works)
	a.release(works)
	if done, ok := second.msg.(*devicev1.OpenDone); !ok || done.ThroughSeq != 4 || first.answers != 1 {
		t.Errorf("the second open: %v, %v", second.msg, second.err)
	}
}
