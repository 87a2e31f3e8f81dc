package hub_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/hub"
	"paceline/gateway/wire"
)

// tolds counts what a hub says to grains.
type tolds struct {
	mu sync.Mutex
	n  int
}

func (t *tolds) Tell(id.Grain, proto.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
}

func (t *tolds) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

// heldViews answers reads of feeds only once hold is closed.
type heldViews struct {
	hold chan struct{}
	mu   sync.Mutex
	of   map[string]int // reads by competition
	all  int
}

func (v *heldViews) Roster(context.Context, string) (hub.People, error) { return hub.People{}, nil }

func (v *heldViews) Inbox(context.Context, string, uint64, int) ([]*livev1.Event, bool, error) {
	return nil, false, nil
}

func (v *heldViews) Feed(_ context.Context, competition string, _ uint64, _ int) ([]*livev1.FeedItem, bool, error) {
	v.mu.Lock()
	v.of[competition]++
	v.all++
	v.mu.Unlock()
	<-v.hold
	return nil, false, nil
}

func (v *heldViews) reads() (all, competitions int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.all, len(v.of)
}

type deaf struct{}

func (deaf) Ready(*hub.Slot)          {}
func (deaf) Refused(*hub.Slot, error) {}

func wallClock() step.Now {
	now := unit.InstantMs(time.Now().UnixMilli())
	return step.Now{Wall: now, Node: now}
}

func watch(n *hub.Node, conn hub.Conn, kind wire.TopicKind, competition string) {
	n.Post(hub.Subscribe{Conn: conn, Topic: wire.Topic{Kind: kind, ID: competition}, Slot: hub.NewSlot(0, 0, deaf{})})
}

// TestTheInboxIsBounded: with the inbox full a connection waits; an update does not, it is dropped, and its topic is asked
// for again.
func TestTheInboxIsBounded(t *testing.T) {
	const bound = 4096
	synctest.Test(t, func(t *testing.T) {
		tell := &tolds{}
		n := hub.NewNode(hub.New(hub.Config{Node: "n1"}), hub.Deps{Clock: wallClock, Tell: tell, Views: &heldViews{}})
		watch(n, 1, wire.Board, "race")
		for range bound - 1 {
			n.Post(hub.Gone{Conn: 2})
		}
		n.Update(&clusterv1.TopicUpdate{Topic: "competition/race/board", Epoch: 1, Version: 3})
		posted := make(chan struct{})
		go func() {
			n.Post(hub.Gone{Conn: 2})
			close(posted)
		}()
		synctest.Wait()
		select {
		case <-posted:
			t.Errorf("message %d did not wait", bound+1)
		default:
		}
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() { n.Run(ctx); close(ran) }()
		synctest.Wait()
		select {
		case <-posted:
		default:
			t.Error("who waited for the inbox still does")
		}
		if got := tell.count(); got != 2 {
			t.Errorf("the grain heard %d times, want 2: that the board is wanted, and that an update of it was lost", got)
		}
		cancel()
		<-ran
	})
}

// TestReadsOfViewsAreBounded: with all readers at work and the queue full, a read fails at once and is tried again later.
func TestReadsOfViewsAreBounded(t *testing.T) {
	const readers, bound = 4, 1024
	synctest.Test(t, func(t *testing.T) {
		v := &heldViews{hold: make(chan struct{}), of: map[string]int{}}
		n := hub.NewNode(hub.New(hub.Config{Node: "n1"}), hub.Deps{Clock: wallClock, Tell: &tolds{}, Views: v})
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() { n.Run(ctx); close(ran) }()
		for i := range readers + bound + 1 {
			watch(n, hub.Conn(i+1), wire.Feed, fmt.Sprint("race-", i))
			if i == readers-1 {
				synctest.Wait() // all readers are at work
			}
		}
		synctest.Wait()
		if all, _ := v.reads(); all != readers {
			t.Errorf("%d reads at once, want %d", all, readers)
		}
		close(v.hold)
		synctest.Wait()
		if all, _ := v.reads(); all != readers+bound {
			t.Errorf("%d reads were made of %d, want all but the one for which there was no room", all, readers+bound+1)
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		if _, competitions := v.reads(); competitions != readers+bound+1 {
			t.Errorf("%d of %d feeds were read in the end", competitions, readers+bound+1)
		}
		cancel()
		<-ran
	})
}

// TestAFeedKeepsItsNewestItems: who has missed as many as are kept gets them at once; who has missed one more gets his from
// the views.
func TestAFeedKeepsItsNewestItems(t *testing.T) {
	const bound, all = 1024, 3000
	r := start(t)
	j := journal{last: 3 * all}
	r.drain(j, r.subscribe(1, feedTopic, "", nobody))
	for missed, fromViews := range map[uint64]bool{bound: false, bound + 1: true} {
		seen := 3 * (all - missed)
		v := newViewer(t, 1, seen)
		r.subscribeSlot(hub.Conn(missed), feedTopic, "", nobody, v)
		v.take()
		if asks := len(v.behind) > 0; asks != fromViews {
			t.Errorf("who has missed %d items asks the views: %v, want %v", missed, asks, fromViews)
		}
		for _, b := range v.behind {
			r.step(b)
		}
		v.behind = nil
		r.drain(j, v)
		wantItems(t, v.items, seen, j.last)
	}
}
