package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/cluster/link"
	"paceline/domain/id"
	ports "paceline/simulations/process"
	"paceline/simulations/swarm"
)

// ear hears what comes to a node's hub of one topic, before the hub does.
type ear struct {
	link.Handler
	topic string

	mu    sync.Mutex
	heard []update
}

type update struct {
	at                   time.Time
	epoch, version, base uint64
	recovering           bool
}

func listenAt(s serving, topic string) *ear {
	e := &ear{Handler: &s.node.edge, topic: topic}
	s.node.cluster.Link().Attach(e)
	return e
}

// Deliver implements link.Handler.
func (e *ear) Deliver(msg proto.Message) {
	if u, ok := msg.(*clusterv1.TopicUpdate); ok && u.Topic == e.topic {
		e.mu.Lock()
		e.heard = append(e.heard, update{time.Now(), u.Epoch, u.Version, u.Base, u.Recovering})
		e.mu.Unlock()
	}
	e.Handler.Deliver(msg)
}

func (e *ear) all() []update {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]update(nil), e.heard...)
}

// after is how the board went on in an epoch later than that one: the last update of before and the first whole one that moves on.
func (e *ear) after(epoch uint64) (last, first, next update, ok bool) {
	for _, u := range e.all() {
		switch {
		case u.epoch <= epoch:
			last = u
		case first.epoch == 0:
			first = u
		case u.epoch == first.epoch && !u.recovering && u.version > first.version:
			return last, first, u, true
		}
	}
	return last, first, next, false
}

// interestPeriod is how often a hub says again what it wants, interestFor how long whoever publishes remembers it.
const interestPeriod, interestFor = 5 * time.Second, 15 * time.Second

// TestInterestFollowsARace: people at three whole nodes watch a race that moves to a fourth node when that joins, and away
// when it leaves. Each time every node asks the activation that it finds then, gets a snapshot of a higher epoch first, and
// the board goes on; nobody sees it go back. A node that asks no more is forgotten.
func TestInterestFollowsARace(t *testing.T) {
	m := &many{t: t, place: newCQLPlace(t), dir: t.TempDir()}
	m.place.migrate()
	var at []string
	for range 4 {
		address, err := ports.FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, address)
	}
	for i := range 3 {
		m.start("--cluster-listen", at[i])
	}
	m.serve(3)
	node := m.connect(0)
	name := ""
	for name == "" {
		if n := node.NewID(); swarm.Owner(n, at) == 3 {
			name = n
		}
	}
	topic := "competition/" + name + "/board"
	var ears []*ear
	for _, s := range m.nodes {
		ears = append(ears, listenAt(s, topic))
	}
	r := openRaceAt(t, node, name, raceLead, 3_000, 2_900, 2_800)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for _, d := range r.devices {
		all.Go(func() { _ = d.Run(ctx) }) // ends with the test, in the middle of the race
	}
	var viewers []*swarm.Viewer
	var leave []context.CancelFunc
	for i := range ears {
		v := &swarm.Viewer{Node: m.connect(i), Topic: topic}
		watching, stop := context.WithCancel(ctx)
		all.Go(func() { _ = v.Run(watching) })
		viewers, leave = append(viewers, v), append(leave, stop)
	}
	m.until("the race is watched everywhere", func() string {
		for i, v := range viewers {
			if b := v.Now(); b.Head.GetState() != livev1.RaceState_RACE_STATE_RUNNING || len(b.Rows) != 3 || b.Rows[0].ProgressMm == 0 {
				return fmt.Sprintf("viewer %d shows %v", i, b.Head)
			}
		}
		return ""
	})

	fourth := -1
	for _, move := range []struct {
		what string
		do   func()
	}{
		{"a fourth node joins", func() {
			fourth = len(m.nodes)
			m.start("--cluster-listen", at[3])
		}},
		{"it leaves", func() {
			if code := m.nodes[fourth].stop(); code != 0 {
				t.Fatalf("left with %d: %s", code, m.nodes[fourth].out)
			}
		}},
	} {
		epoch := viewers[0].Now().Epoch
		move.do()
		m.until(move.what, func() string {
			for i, e := range ears {
				if last, first, _, ok := e.after(epoch); !ok {
					return fmt.Sprintf("node %d heard %v, then %v", i, last, first)
				}
			}
			return ""
		})
		if n := m.nodes[3].node.cluster.Placement().Counts().NotHandedOver.Load(); n != 0 {
			t.Errorf("%s: %d grains were not handed over to it in time", move.what, n)
		}
		for i, e := range ears {
			last, first, next, _ := e.after(epoch)
			t.Logf("%s: node %d heard {%d, %d} last, after %v a snapshot {%d, %d}, after %v a board that moves on", move.what, i,
				last.epoch, last.version, first.at.Sub(last.at).Round(time.Millisecond), first.epoch, first.version, next.at.Sub(last.at).Round(time.Millisecond))
			if first.base != 0 {
				t.Errorf("%s: the first that node %d hears of epoch %d is a delta to version %d", move.what, i, first.epoch, first.base)
			}
			if took := next.at.Sub(last.at); took > interestPeriod {
				t.Errorf("%s: the board at node %d stood still for %v", move.what, i, took)
			}
		}
		m.until("the viewers are there", func() string {
			for i, v := range viewers {
				if b := v.Now(); b.Epoch <= epoch || b.Recovering {
					return fmt.Sprintf("viewer %d shows {%d, %d}", i, b.Epoch, b.Version)
				}
			}
			return ""
		})
		if on := m.status(m.nodes[0], "--owner", "competition/"+name).Owner; on.Public == m.nodes[3].url != (move.what != "it leaves") {
			t.Errorf("%s: the race is on %s", move.what, on.Public)
		}
	}
	for i, v := range viewers {
		if backwards, wrongBase, frames := v.Faults(); backwards+wrongBase != 0 || frames == 0 {
			t.Errorf("viewer %d: went back %d times, %d deltas that follow nothing, of %d frames", i, backwards, wrongBase, frames)
		}
	}
	forgotten(t, m.nodes[2], ears[2], name, leave[2])
}

// forgotten: nobody watches at a node any more, and it says so. Then it asks once, and not again.
func forgotten(t *testing.T, s serving, e *ear, race string, leave func()) {
	t.Helper()
	leave()
	quiet := func() bool {
		all := e.all()
		return time.Since(all[len(all)-1].at) > 3*time.Second
	}
	if !soon(30*time.Second, quiet) {
		t.Fatal("nobody watches any more at a node, and it is sent the board all the same")
	}
	asked := time.Now()
	s.node.cluster.Caller().Tell(id.Of(id.Competition, race), &clusterv1.Interest{Topic: e.topic, Node: s.node.cluster.Member()})
	if !soon(10*time.Second, func() bool { return !quiet() }) {
		t.Fatal("a node asks, and is sent nothing")
	}
	if !soon(interestFor+15*time.Second, quiet) {
		t.Fatalf("%v after it has asked a node is still sent the board", time.Since(asked))
	}
	all := e.all()
	last := all[len(all)-1].at.Sub(asked)
	t.Logf("a node that asked once was sent the board for %v", last.Round(time.Millisecond))
	if last < interestFor-3*time.Second || last > interestFor+3*time.Second {
		t.Errorf("a node that asked once was sent the board for %v, want %v", last, interestFor)
	}
}

// serve waits until so many serve and know each other.
func (m *many) serve(n int) {
	m.t.Helper()
	m.until("all serve", func() string {
		for _, s := range m.nodes {
			all := m.status(s).Members
			for _, one := range all {
				if !one.Member || !one.Serves || one.Unready != "" {
					return one.String()
				}
			}
			if len(all) != n {
				return fmt.Sprint(len(all), " members")
			}
		}
		return ""
	})
}

// connect is a client of one of the nodes.
func (m *many) connect(i int) *swarm.Node {
	m.t.Helper()
	n, err := swarm.Connect(m.t.Context(), m.nodes[i].url, func(subject string) (string, error) {
		code, token, errs := paceline(m.t, "token", subject, "--data-dir", filepath.Join(m.dir, "all"))
		if code != 0 {
			return "", fmt.Errorf("token: %s", errs)
		}
		return strings.TrimSpace(token), nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return n
}
