package live

import (
	"testing"

	"google.golang.org/protobuf/proto"

	livev1 "paceline/api/gen/paceline/live/v1"
)

// talk is a client whose node is the test: what it sends is in out, what it hears is said by hand.
type talk struct {
	t     *testing.T
	c     *Client
	cn    *conn
	shown []string
}

func startTalk(t *testing.T) *talk {
	k := &talk{t: t, c: New(Config{})}
	k.connect()
	return k
}

func (k *talk) connect() {
	k.cn = &conn{c: k.c, out: make(chan *livev1.ClientMessage, sendQueue)}
	k.c.conn = k.cn
	k.c.handle(k.cn, &livev1.ServerMessage{Message: &livev1.ServerMessage_Welcome{Welcome: &livev1.Welcome{}}})
}

func (k *talk) watch(topic string) *Topic {
	return k.c.Subscribe(topic, "", func(u Update) {
		if u.Snapshot != nil {
			k.shown = append(k.shown, "snapshot "+u.Snapshot.Topic)
		} else {
			k.shown = append(k.shown, "delta "+u.Delta.Topic)
		}
	}, nil)
}

func (k *talk) snapshot(topic string, version uint64, sub uint32) {
	k.hear(&livev1.ServerMessage{Message: &livev1.ServerMessage_Snapshot{Snapshot: &livev1.Snapshot{Topic: topic, Epoch: 1, Version: version, Sub: sub}}})
}

func (k *talk) delta(topic string, sub uint32, version uint64) {
	k.hear(&livev1.ServerMessage{Message: &livev1.ServerMessage_Delta{Delta: &livev1.Delta{Topic: topic, Sub: sub, Epoch: 1, Base: version - 1, Version: version}}})
}

func (k *talk) hear(m *livev1.ServerMessage) {
	k.c.handle(k.cn, proto.Clone(m).(*livev1.ServerMessage))
}

// wants takes what was shown and the topics that were subscribed to since the last call.
func (k *talk) wants(shown []string, asked ...string) {
	k.t.Helper()
	var got []string
	for len(k.cn.out) > 0 {
		if s := (<-k.cn.out).GetSubscribe(); s != nil {
			got = append(got, s.Topic)
		}
	}
	if !equal(k.shown, shown) || !equal(got, asked) {
		k.t.Fatalf("shown %q, want %q; subscribed to %q, want %q", k.shown, shown, got, asked)
	}
	k.shown = nil
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestNumbersStandForTopics(t *testing.T) {
	k := startTalk(t)
	a := k.watch("a")
	k.watch("b")
	k.wants(nil, "a", "b")
	k.snapshot("a", 5, 70)
	k.snapshot("b", 5, 71)
	k.delta("", 70, 6)
	k.delta("", 71, 6)
	k.wants([]string{"snapshot a", "snapshot b", "delta a", "delta b"})
	k.delta("", 70, 9) // one is missing
	k.delta("", 70, 10)
	k.wants(nil, "a")
	k.delta("a", 90, 7) // the node has counted on meanwhile, and what we had was enough
	k.delta("", 90, 8)
	k.delta("", 70, 9) // still on its way
	k.wants([]string{"delta a", "delta a"})

	// What comes after an unsubscribe belongs to nobody and is asked for by nobody.
	a.Close()
	k.watch("c")
	k.wants(nil, "c")
	k.delta("", 90, 9)
	k.wants(nil)
	k.watch("a")
	k.snapshot("a", 9, 90)
	k.delta("", 90, 10)
	k.wants([]string{"snapshot a", "delta a"}, "a")
}

// A delta of a number that nobody has named is dropped; what has no number yet is asked for again, once.
func TestUnknownNumber(t *testing.T) {
	k := startTalk(t)
	k.watch("a")
	k.watch("b")
	k.snapshot("a", 5, 70)
	k.wants([]string{"snapshot a"}, "a", "b")
	k.delta("", 72, 6)
	k.delta("", 72, 7)
	k.wants(nil, "b")
	k.snapshot("b", 7, 72)
	k.delta("", 72, 8)
	k.delta("", 0, 6) // nothing at all says what it is about
	k.wants([]string{"snapshot b", "delta b"})
}

// Numbers end with their connection: on the next one the same number may stand for something else.
func TestNumbersEndWithTheConnection(t *testing.T) {
	k := startTalk(t)
	k.watch("a")
	k.watch("b")
	k.snapshot("a", 5, 70)
	k.snapshot("b", 5, 71)
	k.wants([]string{"snapshot a", "snapshot b"}, "a", "b")
	k.connect()
	k.wants(nil, "a", "b")
	k.delta("b", 70, 6) // up to date: no snapshot, the first delta names it
	k.delta("", 70, 7)
	k.wants([]string{"delta b", "delta b"})
	k.snapshot("a", 8, 71)
	k.delta("", 71, 9)
	k.wants([]string{"snapshot a", "delta a"})
}
