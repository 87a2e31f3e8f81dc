package ws_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"paceline/api/board"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/step"
	"paceline/gateway/hub"
	"paceline/gateway/wire"
	"paceline/gateway/ws"
	"paceline/internal/testkit"
)

// The board of P3: 30 rows, of which 3 change with each tick.
func p3(tick uint64, all bool) *livev1.Board {
	b := &livev1.Board{State: livev1.RaceState_RACE_STATE_RUNNING, GunAtMs: 1718462760000, AtMs: 1718462760000 + int64(tick)*250, CourseLengthMm: 12000000, Entries: 30, Gates: 5}
	for e := range uint32(30) {
		if !all && uint64(e)/3 != tick%10 {
			continue
		}
		b.Rows = append(b.Rows, &livev1.BoardRow{Entry: e + 1, Place: e + 1, GatesPassed: 2, GateAtMs: 1718464211123, GapMs: int64(e) * 1500, GapMm: int64(e) * 9000,
			ProgressMm: int64(tick)*1300 + int64(e), Status: livev1.EntryStatus_ENTRY_STATUS_RACING, PositionAtMs: 1718462760000 + int64(tick)*250})
	}
	return b
}

// deltaOf is the frame that a viewer who has seen the tick before gets: of the board, which is the first cut of the
// node, and with what has changed only.
func deltaOf(tick uint64) []byte {
	was, is := map[uint32]*livev1.BoardRow{}, p3(tick, false)
	for _, row := range p3(1, true).Rows {
		was[row.Entry] = row
	}
	b := board.Delta(is, is)
	for _, row := range is.Rows {
		b.Rows = append(b.Rows, board.DeltaRow(was[row.Entry], row, is.AtMs))
	}
	return wire.Encode(wire.Proto, &livev1.ServerMessage{Message: &livev1.ServerMessage_Delta{Delta: &livev1.Delta{
		Sub: 1, Epoch: 1, Version: tick, Base: tick - 1, Content: &livev1.Delta_Board{Board: b}}}})
}

// deltaBytes is the bound of P3: a frame with its header, of 30 rows of which 3 have changed.
const deltaBytes = 110

// TestBoardDeltaIsSmall holds that bound, for the board of P3 and for one late in a long evening of a busy node:
// versions in the millions, epochs and numbers in the thousands, positions that are seconds old.
func TestBoardDeltaIsSmall(t *testing.T) {
	for name, tt := range map[string]struct {
		epoch, version uint64
		others         uint32 // cuts that were watched before
		ageMs          int64  // of positions
	}{
		"the bench": {1, 1, 0, 0},
		"late":      {9_000, 2_000_000, 10_000, 4_321},
	} {
		t.Run(name, func(t *testing.T) {
			h, slot := hub.New(hub.Config{Node: "n"}), hub.NewSlot(0, 0, quiet{})
			tell := func(msg any) {
				for _, o := range h.Step(step.Now{Wall: 1, Node: 1}, msg) {
					if p, ok := o.(hub.Publish); ok && len(p.To) == 1 {
						p.To[0].Offer(p.Frame)
					}
				}
			}
			topic := wire.Topic{Kind: wire.Board, ID: "race"}
			for n := range tt.others {
				cut := wire.Cut{Kind: wire.Around, N: n + 1}
				tell(hub.Subscribe{Conn: 2, Topic: topic, Cut: cut, Slot: hub.NewSlot(0, 0, quiet{})})
				tell(hub.Unsubscribe{Conn: 2, Topic: topic, Cut: cut})
			}
			tell(hub.Subscribe{Conn: 1, Topic: topic, Slot: slot})
			boardOf := func(tick uint64, all bool) *livev1.Board {
				b := p3(tick, all)
				for _, row := range b.Rows {
					row.PositionAtMs -= tt.ageMs
				}
				return b
			}
			tell(boardUpdate(t, tt.epoch, tt.version, 0, boardOf(1, true)))
			slot.Take(wire.Proto)
			most := int64(0)
			for tick := uint64(2); tick <= 60; tick++ {
				version := tt.version + tick - 1
				tell(boardUpdate(t, tt.epoch, version, version-1, boardOf(tick, false)))
				frame := slot.Take(wire.Proto).Bytes
				if tt.others == 0 && !bytes.Equal(frame, deltaOf(tick)) {
					t.Fatalf("tick %d: % x, want % x", tick, frame, deltaOf(tick))
				}
				most = max(most, onWire(frame))
			}
			if t.Logf("%d bytes", most); most > deltaBytes {
				t.Errorf("a delta of %d bytes, want at most %d", most, deltaBytes)
			}
		})
	}
}

type quiet struct{}

func (quiet) Ready(*hub.Slot)          {}
func (quiet) Refused(*hub.Slot, error) {}

// wholeOf is the frame that anybody gets from a server without deltas.
func wholeOf(tick uint64) []byte {
	return wire.Encode(wire.Proto, &livev1.ServerMessage{Message: &livev1.ServerMessage_Snapshot{Snapshot: &livev1.Snapshot{
		Topic: "competition/race/board", Epoch: 1, Version: tick, Content: &livev1.Snapshot_Board{Board: p3(tick, true)}}}})
}

// onWire is the length of a frame with its WebSocket header.
func onWire(frame []byte) int64 {
	switch {
	case len(frame) < 126:
		return int64(len(frame)) + 2
	case len(frame) < 1<<16:
		return int64(len(frame)) + 4
	}
	return int64(len(frame)) + 10
}

func report(b *testing.B, viewers int, spent time.Duration, bytes int64) {
	frames := float64(b.N) * float64(viewers)
	b.ReportMetric(float64(spent.Nanoseconds())/frames, "cpu-ns/frame")
	b.ReportMetric(float64(bytes)/frames, "bytes/frame")
}

// BenchmarkBroadcast is P3: one race and its viewers on loopback sockets in a process of their own. "hub" is this
// node; "bare" is coder/websocket with one goroutine and one channel for each connection, given finished bytes: the
// same deltas, and ("whole") the whole board as a server without deltas sends it. A viewer that misses a byte, or
// gets one too many, fails it; no time does.
func BenchmarkBroadcast(b *testing.B) {
	for _, viewers := range []int{100, 1000} {
		b.Run(fmt.Sprintf("bare/%d", viewers), func(b *testing.B) { bare(b, viewers, deltaOf) })
		b.Run(fmt.Sprintf("whole/%d", viewers), func(b *testing.B) { bare(b, viewers, wholeOf) })
		b.Run(fmt.Sprintf("hub/%d", viewers), func(b *testing.B) { ours(b, viewers) })
	}
}

func ours(b *testing.B, viewers int) {
	r := start(b, ws.Config{})
	// The race has a board before anybody comes: each viewer gets welcome and the snapshot, and then only deltas.
	watcher := r.dial(b, wire.Proto)
	watcher.send(hello(""))
	welcome := int64(0)
	for m := watcher.next(); m.GetWelcome() == nil; m = watcher.next() {
	}
	watcher.send(subscribe("competition/race/board", ""))
	eventually(b, func() bool { r.grains.mu.Lock(); defer r.grains.mu.Unlock(); return len(r.grains.told) > 0 })
	r.hub.Update(boardUpdate(b, 1, 1, 0, p3(1, true)))
	snapshot := watcher.next()
	if snapshot.GetSnapshot() == nil {
		b.Fatalf("%v, want a snapshot", snapshot)
	}
	address := strings.TrimSuffix(strings.TrimPrefix(r.url, "ws://"), "/live")
	c := newCrowd(b, address, viewers, wire.Encode(wire.Proto, hello("")), wire.Encode(wire.Proto, subscribe("competition/race/board", "")))
	defer c.leave(b)
	eventually(b, func() bool { return r.server.Connections() == viewers+1 })
	welcome = c.settled(b, int64(viewers)*onWire(wire.Encode(wire.Proto, snapshot)))
	_ = watcher.c.CloseNow()
	eventually(b, func() bool { return r.server.Connections() == viewers })
	b.ResetTimer()
	began, tick, want := testkit.Spent(), uint64(1), welcome
	for b.Loop() {
		tick++
		want += int64(viewers) * onWire(deltaOf(tick))
		r.hub.Update(boardUpdate(b, 1, tick, tick-1, p3(tick, false)))
		c.wait(b, want)
	}
	report(b, viewers, testkit.Spent()-began, want-welcome)
	b.StopTimer()
}

// settled is how much the crowd has read once it has at least so much and no more comes.
func (c *crowd) settled(b *testing.B, least int64) int64 {
	b.Helper()
	for before := int64(-1); ; {
		if _, err := fmt.Fprintln(c.ask, max(least, before)); err != nil {
			b.Fatal(err)
		}
		line, err := c.answers.ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		var now int64
		if _, err := fmt.Sscanf(line, "read %d", &now); err != nil || now < least {
			b.Fatalf("the crowd says %q, want at least %d bytes", line, least)
		}
		if now == before {
			return now
		}
		before = now
		<-time.After(100 * time.Millisecond)
	}
}

// plain is a bare server's list of viewers.
type plain struct {
	mu     sync.Mutex
	queues []chan []byte
	wg     sync.WaitGroup
}

func (p *plain) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: wire.Subprotocols(), CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return
	}
	p.wg.Add(1)
	defer p.wg.Done()
	ctx := context.WithoutCancel(r.Context())
	q := make(chan []byte, 4)
	p.mu.Lock()
	p.queues = append(p.queues, q)
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for f := range q {
			if s.Write(ctx, websocket.MessageBinary, f) != nil {
				return
			}
		}
	}()
	for {
		if _, _, err := s.Read(ctx); err != nil {
			break
		}
	}
	_ = s.CloseNow()
	close(q)
	<-done
}

func bare(b *testing.B, viewers int, frameOf func(uint64) []byte) {
	p := &plain{}
	server := httptest.NewServer(p)
	c := newCrowd(b, strings.TrimPrefix(server.URL, "http://"), viewers)
	eventually(b, func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.queues) == viewers })
	b.ResetTimer()
	began, want, tick := testkit.Spent(), int64(0), uint64(1)
	for b.Loop() {
		tick++
		frame := frameOf(tick)
		want += int64(viewers) * onWire(frame)
		for _, q := range p.queues {
			q <- frame
		}
		c.wait(b, want)
	}
	report(b, viewers, testkit.Spent()-began, want)
	b.StopTimer()
	c.leave(b)
	server.Close()
	p.wg.Wait()
}
