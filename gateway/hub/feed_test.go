package hub_test

import (
	"errors"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/unit"
	"paceline/gateway/hub"
)

const feedTopic = "competition/race/feed"

// journal is the view of a feed: every third version of the journal is news.
type journal struct{ last uint64 }

func (j journal) after(after uint64, limit int) (items []*livev1.FeedItem, more bool) {
	for v := after/3*3 + 3; v <= j.last; v += 3 {
		if len(items) == limit {
			return items, true
		}
		items = append(items, &livev1.FeedItem{Version: v, Kind: "gate"})
	}
	return items, false
}

// serve answers the reads that wait.
func (r *rig) serve(j journal) {
	for len(r.reads) > 0 {
		reads := r.reads
		r.reads = nil
		for _, read := range reads {
			ask := read.(hub.ReadFeed)
			items, more := j.after(ask.After, ask.Limit)
			r.step(hub.FeedRead{Ask: ask, Items: items, More: more})
		}
	}
}

// drain lets a viewer take everything, with history where it is needed.
func (r *rig) drain(j journal, v *viewer) {
	r.t.Helper()
	for range 1000 {
		n := v.take()
		for _, b := range v.behind {
			r.step(b)
		}
		v.behind = nil
		if n == 0 && len(r.reads) == 0 {
			return
		}
		r.serve(j)
	}
	r.t.Fatal("the feed does not come to an end")
}

func wantItems(t *testing.T, got []uint64, from, last uint64) {
	t.Helper()
	var want []uint64
	for v := from/3*3 + 3; v <= last; v += 3 {
		want = append(want, v)
	}
	if !slices.Equal(got, want) {
		t.Errorf("items = %d from %v, want %d from %v: every one, once, in order", len(got), got[:min(3, len(got))], len(want), want[:min(3, len(want))])
	}
}

func item(t testing.TB, version, base uint64) *clusterv1.TopicUpdate {
	t.Helper()
	content, err := proto.Marshal(&livev1.FeedItem{Version: version, Kind: "gate"})
	if err != nil {
		t.Fatal(err)
	}
	return &clusterv1.TopicUpdate{Topic: feedTopic, Epoch: 1, Version: version, Base: base, Content: content}
}

func TestFeed(t *testing.T) {
	r := start(t)
	j := journal{last: 30}
	fresh := r.subscribe(1, feedTopic, "", nobody)
	resumed := newViewer(t, 1, 15)
	r.subscribeSlot(2, feedTopic, "", nobody, resumed)
	slow := r.subscribe(3, feedTopic, "", nobody)
	r.serve(j)
	r.drain(j, fresh)
	r.drain(j, resumed)
	wantItems(t, fresh.items, 0, 30)
	wantItems(t, resumed.items, 15, 30)
	// An item that follows is taken as it comes; one that does not is a hint to read.
	r.step(item(t, 33, 30))
	r.drain(j, fresh)
	if fresh.deltas != 1 || len(r.reads) != 0 {
		t.Errorf("%d deltas, %d reads, want the item itself", fresh.deltas, len(r.reads))
	}
	j.last = 45
	r.step(item(t, 45, 42))
	r.serve(j)
	// Nobody told of this one: the poll finds it.
	j.last = 48
	r.pass(unit.Second)
	r.serve(j)
	for _, v := range []*viewer{fresh, resumed, slow} {
		r.drain(j, v)
	}
	wantItems(t, fresh.items, 0, 48)
	wantItems(t, resumed.items, 15, 48)
	wantItems(t, slow.items, 0, 48)
	if slow.snapshots != 1 {
		t.Errorf("slow: %d snapshots, want one with all", slow.snapshots)
	}
}

// TestFeedIsNotConflated: a viewer that was away for longer than the log gets everything from the view's history.
func TestFeedIsNotConflated(t *testing.T) {
	r := start(t)
	slow := r.subscribe(1, feedTopic, "", nobody)
	j := journal{last: 3}
	r.serve(j)
	r.drain(j, slow)
	for j.last < 30_000 {
		j.last += 999
		r.pass(unit.Second)
		r.serve(j)
	}
	r.drain(j, slow)
	wantItems(t, slow.items, 0, 30_000/999*999+1002)
}

func TestFeedHistoryThatCannotBeReadIsReadLater(t *testing.T) {
	r := start(t)
	v := r.subscribe(1, feedTopic, "", nobody)
	j := journal{last: 9000}
	r.serve(j) // the hub's own reads: the log begins behind the start
	v.take()
	if len(v.behind) != 1 {
		t.Fatalf("behind = %v", v.behind)
	}
	r.step(v.behind[0])
	v.behind = nil
	ask := r.reads[0].(hub.ReadFeed)
	r.reads = nil
	r.step(hub.FeedRead{Ask: ask, Err: errors.New("the store is away")})
	if n := v.take(); n != 0 || len(v.behind) != 0 {
		t.Fatal("a failing read is repeated at once")
	}
	r.pass(unit.Second)
	r.serve(j)
	r.drain(j, v)
	wantItems(t, v.items, 0, 9000)
}
