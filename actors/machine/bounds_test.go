package machine

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"paceline/domain/step"
	"paceline/persistence"
)

// TestOneCommandIsBounded: what one command emits goes into one append, or is a fault of the rule that changes nothing.
func TestOneCommandIsBounded(t *testing.T) {
	for _, tt := range []struct {
		size int
		want error
	}{{persistence.MaxAppendBytes, nil}, {persistence.MaxAppendBytes + 1, ErrTooLarge}} {
		s, size := bulky(), tt.size
		s.Encode = func(e counterEvent) (uint32, uint32, []byte, error) { return e.kind, 1, make([]byte, size), nil }
		l := newBench(t).live(s)
		l.settle()
		before := *l.m.State()
		l.submit("big", add{by: 2})
		l.settle()
		if r := l.replies["big"]; !errors.Is(r.Err, tt.want) || r.Err != nil && !reflect.DeepEqual(*l.m.State(), before) {
			t.Errorf("%d bytes: %v, want %v; the state is %v, was %v", tt.size, r.Err, tt.want, *l.m.State(), before)
		}
		size = 1
		l.submit("small", add{by: 4})
		l.settle()
		if r := l.replies["small"]; r.Err != nil {
			t.Errorf("after %d bytes: %v", tt.size, r.Err)
		}
	}
}

// bulky is the counter with events of 200 KiB.
func bulky() Spec[counter, Command, counterEvent] {
	s := counterSpec()
	s.Encode = func(e counterEvent) (uint32, uint32, []byte, error) {
		return e.kind, 1, []byte(strings.Repeat("x", 200<<10)), nil
	}
	s.Decode = func(kind, _ uint32, _ []byte) (counterEvent, error) { return counterEvent{kind, 2}, nil }
	return s
}

// TestWhatWaitsForTheJournalIsBoundedInBytes: with the store away commands are refused before what they have decided is more
// than the bound and one append; with the store back they are taken again.
func TestWhatWaitsForTheJournalIsBoundedInBytes(t *testing.T) {
	b := newBench(t)
	l := b.live(bulky())
	l.settle()
	taken := 0
	for i := range 200 {
		who := fmt.Sprint(i)
		l.submit(who, add{by: 2})
		if r, answered := l.replies[who]; answered {
			if !errors.Is(r.Err, ErrBusy) {
				t.Fatalf("command %d: %v, want %v", i, r.Err, ErrBusy)
			}
			break
		}
		taken++
	}
	held := 0
	for _, it := range l.m.pending {
		held += len(it.record.Payload)
	}
	if held > maxOwedBytes+persistence.MaxAppendBytes || taken < 10 || taken == 200 {
		t.Fatalf("%d commands taken, %d bytes wait, want at most %d and one append", taken, held, maxOwedBytes)
	}
	l.settle()
	if u := l.m.underWay; u != nil && (u.owed != 0 || len(u.pending) != 0) {
		t.Fatalf("%d bytes are owed with everything published", u.owed)
	}
	l.submit("after", add{by: 2})
	l.settle()
	if r := l.replies["after"]; r.Err != nil || r.Msg == nil {
		t.Fatalf("after the outage: %v", r)
	}
	// Committed and not published counts as well.
	b.holdPub = true
	for i := range 200 {
		l.submit(fmt.Sprint("u", i), add{by: 2})
		l.settle()
	}
	if len(l.m.unpublished)*(200<<10) > maxOwedBytes+persistence.MaxAppendBytes {
		t.Fatalf("%d events of 200 KiB wait for the event stream", len(l.m.unpublished))
	}
}

// TestAFullStoreRefusesAtOnce: a command that would need the journal gets a stable code and takes no memory; what a grain has
// found by itself waits; questions are answered.
func TestAFullStoreRefusesAtOnce(t *testing.T) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	l.submit("before", add{by: 2})
	l.settle()
	now := b.now()
	now.Full = true
	l.take(l.m.Submit(now, add{by: 2, Meta: step.Meta{By: "athlete:a"}}, "refused"))
	if r := l.replies["refused"]; !errors.Is(r.Err, ErrFull) {
		t.Fatalf("answer %v, want %v", r, ErrFull)
	}
	l.take(l.m.Query(now, "asked", func(s *counter, _ uint64) (any, error) { return s.total, nil }))
	if r := l.replies["asked"]; r.Msg != int64(2) {
		t.Fatalf("a query: %v, want 2", r)
	}
	l.take(l.m.Submit(now, add{by: 4, Meta: step.Meta{By: "grain:user/u1"}}, "own"))
	l.settle()
	if r := l.replies["own"]; r.Err != nil || l.m.State().total != 6 {
		t.Fatalf("the grain's own command: %v, total %d", r, l.m.State().total)
	}
}
