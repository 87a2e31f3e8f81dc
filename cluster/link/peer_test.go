package link

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/cluster/call"
)

// still is a peer whose parcels the test takes itself, at times that it names.
type still struct {
	*peer
	now time.Time
}

func newStill(cfg Config) *still {
	l := &Link{cfg: cfg, self: "me"}
	return &still{now: time.Unix(1_000_000, 0), peer: &peer{
		l: l, member: "you", lost: map[string]struct{}{}, asks: map[uint64]func(proto.Message, error){},
		awake: make(chan struct{}, 1), ended: make(chan struct{}),
	}}
}

// after is what goes out once so much time has passed.
func (s *still) after(d time.Duration) (*clusterv1.Parcel, time.Duration) {
	s.now = s.now.Add(d)
	return s.parcel(s.now)
}

func (s *still) asked(t *testing.T, n, bytes int) (busy int) {
	t.Helper()
	for range n {
		s.ask(&clusterv1.Ask{Message: make([]byte, bytes)}, func(_ proto.Message, err error) {
			if errors.Is(err, call.ErrBusy) {
				busy++
			}
		})
	}
	return busy
}

// TestFramesOfAFewMillisecondsAreOneMessage.
func TestFramesOfAFewMillisecondsAreOneMessage(t *testing.T) {
	s := newStill(Default())
	s.asked(t, 1, 100)
	if m, _ := s.after(0); len(m.GetItems()) != 1 || m.GetNumber() != 1 {
		t.Fatalf("what comes alone does not go at once: %v", m)
	}
	for i := range 4 {
		s.asked(t, 10, 100)
		if m, wait := s.after(time.Millisecond); m != nil || wait != time.Duration(4-i)*time.Millisecond {
			t.Fatalf("after %d ms: parcel %d with %d messages, and then in %v", i+1, m.GetNumber(), len(m.GetItems()), wait)
		}
	}
	if m, _ := s.after(time.Millisecond); len(m.GetItems()) != 40 || m.GetNumber() != 2 {
		t.Fatalf("parcel %d with %d messages, want 40 in the second", m.GetNumber(), len(m.GetItems()))
	}
	// A full parcel does not wait.
	s.asked(t, 1, Default().ParcelBytes)
	if m, _ := s.after(0); len(m.GetItems()) != 1 {
		t.Fatalf("a full parcel waits: %v", m)
	}
	if m, wait := s.after(0); m != nil || wait <= 0 || wait > Default().Probe {
		t.Fatalf("%v, %v: nothing is left to send", m, wait)
	}
}

// TestCreditTravelsWithAnswers: that a parcel was taken is said with the answers to it if there are any soon, else alone,
// and at once when many were taken.
func TestCreditTravelsWithAnswers(t *testing.T) {
	cfg := Default()
	s := newStill(cfg)
	s.arrived(&clusterv1.Parcel{Number: 1}, s.now)
	if m, wait := s.after(time.Millisecond); m != nil || wait > cfg.Credit {
		t.Fatalf("%v, %v: want to wait for an answer", m, wait)
	}
	s.answer(&clusterv1.Answer{Id: 1})
	if m, _ := s.after(0); m.GetTaken() != 1 || len(m.GetItems()) != 1 {
		t.Fatalf("%v: want the answer, and that 1 was taken", m)
	}
	s.arrived(&clusterv1.Parcel{Number: 2, Taken: 1}, s.now)
	if m, _ := s.after(cfg.Credit); m.GetTaken() != 2 || m.GetNumber() != 0 {
		t.Fatalf("%v: want that 2 were taken, with nothing else", m)
	}
	for n := range uint64(cfg.Window) / 4 {
		s.arrived(&clusterv1.Parcel{Number: 3 + n}, s.now)
	}
	if m, _ := s.after(0); m.GetTaken() != 2+uint64(cfg.Window)/4 || m.GetNumber() != 0 {
		t.Fatalf("%v: a quarter of the window was taken, and nobody is told", m)
	}
}

// TestWhatAMemberThatTakesNothingCosts: within an hour of asks, answers and updates for it, no more than the stated
// number is held for it, waiting and under way; probes carry nothing.
func TestWhatAMemberThatTakesNothingCosts(t *testing.T) {
	cfg := Default()
	s := newStill(cfg)
	under, busy := 0, 0
	for second := range 3600 {
		busy += s.asked(t, 40, 1000)
		s.answer(&clusterv1.Answer{Id: 1, Message: make([]byte, 4000)})
		s.update(&clusterv1.TopicUpdate{Topic: fmt.Sprint("t", second%10), Version: uint64(second), Content: make([]byte, 30_000)})
		for m, _ := s.after(time.Second); m != nil; m, _ = s.after(0) {
			for _, it := range m.GetItems() {
				under += proto.Size(it)
			}
		}
	}
	if most := cfg.PeerMost(); s.bytes+under > most {
		t.Errorf("%d bytes wait and %d are under way, want %d together at most", s.bytes, under, most)
	}
	if n := s.l.counts.Unanswered.Load(); busy == 0 || n == 0 || len(s.lost) != 10 {
		t.Errorf("%d asks refused, %d answers left out, %d topics to resync", busy, n, len(s.lost))
	}
	if len(s.flight) > cfg.Window+1 {
		t.Errorf("%d parcels are remembered", len(s.flight))
	}
	// It is back: it is told what to ask for, before everything else, and the queue empties.
	s.arrived(&clusterv1.Parcel{Taken: s.sent}, s.now)
	m, _ := s.after(time.Second)
	topics := 0
	for _, it := range m.GetItems() {
		if it.GetResync() != "" {
			topics++
		}
	}
	if topics != 10 {
		t.Errorf("%d topics to resync, want 10", topics)
	}
	for m != nil {
		s.arrived(&clusterv1.Parcel{Taken: s.sent}, s.now)
		m, _ = s.after(cfg.Collect)
	}
	if s.bytes+s.flightBytes+len(s.flight) != 0 {
		t.Errorf("%d bytes wait, %d are under way in %d parcels", s.bytes, s.flightBytes, len(s.flight))
	}
}

// TestALargeMessageGoesAlone: a board that is larger than what may wait is not resynced for ever.
func TestALargeMessageGoesAlone(t *testing.T) {
	cfg := Default()
	s := newStill(cfg)
	s.update(&clusterv1.TopicUpdate{Topic: "board", Version: 1, Content: make([]byte, 2*cfg.PeerBytes)})
	if m, _ := s.after(0); len(m.GetItems()) != 1 || len(s.lost) != 0 {
		t.Fatalf("%d items, %d topics to resync", len(m.GetItems()), len(s.lost))
	}
	s.update(&clusterv1.TopicUpdate{Topic: "board", Version: 2, Base: 1, Content: make([]byte, 100)})
	if m, _ := s.after(time.Second); len(m.GetItems()) != 0 {
		t.Fatalf("more is sent while %d bytes are under way", s.flightBytes)
	}
}

// TestAProbeSaysWhatIsMissing: the last parcel before a silence is lost; the probe's number shows it.
func TestAProbeSaysWhatIsMissing(t *testing.T) {
	cfg := Default()
	from, to := newStill(cfg), newStill(cfg)
	from.asked(t, 1, 10)
	first, _ := from.after(0)
	if lost, again := to.arrived(first, to.now); lost || again {
		t.Fatalf("the first parcel: lost %v, again %v", lost, again)
	}
	credit, _ := to.after(cfg.Credit)
	from.arrived(credit, from.now)
	from.asked(t, 1, 10)
	if m, _ := from.after(cfg.Collect); m == nil {
		t.Fatal("the second parcel does not go") // and never arrives
	}
	if m, wait := from.after(0); m != nil || wait != cfg.Probe {
		t.Fatalf("%v, %v, want a probe after %v", m, wait, cfg.Probe)
	}
	probe, _ := from.after(cfg.Probe)
	again, _ := from.after(cfg.Probe)
	if probe.GetNumber() != 3 || len(probe.GetItems()) != 0 || again.GetNumber() != 3 {
		t.Fatalf("probes %v and %v, want twice number 3 with nothing in it", probe, again)
	}
	if lost, _ := to.arrived(probe, to.now); !lost {
		t.Error("the probe does not show the hole")
	}
	if lost, twice := to.arrived(again, to.now); lost || !twice {
		t.Error("the second probe is news")
	}
	credit, _ = to.after(cfg.Credit)
	from.arrived(credit, from.now)
	if from.sent != from.credited || from.flightBytes != 0 {
		t.Errorf("%d parcels and %d bytes are still under way", from.sent-from.credited, from.flightBytes)
	}
}
