package ws_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/gateway/wire"
	"paceline/gateway/ws"
)

// The board of P3: 30 rows, of which 3 change with each tick.
func p3(tick uint64) *livev1.Board {
	b := &livev1.Board{State: livev1.RaceState_RACE_STATE_RUNNING, GunAtMs: 1718462760000, AtMs: 1718462760000 + int64(tick)*250, CourseLengthMm: 12000000, Entries: 30, Gates: 5}
	for e := range uint32(30) {
		if tick > 1 && uint64(e)/3 != tick%10 {
			continue
		}
		b.Rows = append(b.Rows, &livev1.BoardRow{Entry: e + 1, Place: e + 1, GatesPassed: 2, GateAtMs: 1718464211123, GapMs: int64(e) * 1500, GapMm: int64(e) * 9000,
			ProgressMm: int64(tick)*1300 + int64(e), Status: livev1.EntryStatus_ENTRY_STATUS_RACING, PositionAtMs: 1718462760000 + int64(tick)*250})
	}
	return b
}

// crowd is viewers that only count bytes: as cheap as a client can be, so that what is measured is the server.
type crowd struct {
	bytes atomic.Int64
	conns []net.Conn
	wg    sync.WaitGroup
}

func (c *crowd) join(b *testing.B, url string, first [][]byte) {
	b.Helper()
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/live"))
	if err != nil {
		b.Fatal(err)
	}
	request := "GET /live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: paceline.v1.proto\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		b.Fatal(err)
	}
	answer := make([]byte, 0, 512)
	for !strings.HasSuffix(string(answer), "\r\n\r\n") {
		one := make([]byte, 1)
		if _, err := conn.Read(one); err != nil {
			b.Fatal(err)
		}
		answer = append(answer, one[0])
	}
	for _, f := range first {
		frame := []byte{0x82, 0x80 | byte(len(f)), 0, 0, 0, 0} // masked with zeros
		if len(f) > 125 {
			b.Fatal("the frame is too long for this client")
		}
		if _, err := conn.Write(append(frame, f...)); err != nil {
			b.Fatal(err)
		}
	}
	c.conns = append(c.conns, conn)
	c.wg.Go(func() {
		buffer := make([]byte, 4096)
		for {
			n, err := conn.Read(buffer)
			c.bytes.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
}

func (c *crowd) leave() {
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.wg.Wait()
}

// wait waits until the crowd has read so many bytes.
func (c *crowd) wait(b *testing.B, bytes int64) {
	for deadline := time.Now().Add(20 * time.Second); c.bytes.Load() < bytes; {
		if time.Now().After(deadline) {
			b.Fatalf("the crowd has read %d of %d bytes", c.bytes.Load(), bytes)
		}
		<-time.After(50 * time.Microsecond)
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
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

func deltaOf(tick uint64) []byte {
	return wire.Encode(wire.Proto, &livev1.ServerMessage{Message: &livev1.ServerMessage_Delta{Delta: &livev1.Delta{
		Topic: "competition/race/board", Epoch: 1, Version: tick, Base: tick - 1, Content: &livev1.Delta_Board{Board: p3(tick)}}}})
}

func report(b *testing.B, viewers int, began time.Duration, bytes int64) {
	frames := float64(b.N) * float64(viewers)
	b.ReportMetric(float64((cpu()-began).Nanoseconds())/frames, "cpu-ns/frame")
	b.ReportMetric(float64(bytes)/frames, "bytes/frame")
	b.ReportMetric(0, "allocs/op")
}

// BenchmarkBroadcast is P3 in small: one race, its viewers on loopback sockets in this process; "bare" is
// coder/websocket with one goroutine and one channel for each connection, given finished bytes.
func BenchmarkBroadcast(b *testing.B) {
	for _, viewers := range []int{100, 1000} {
		b.Run(fmt.Sprintf("bare/%d", viewers), func(b *testing.B) { bare(b, viewers) })
		b.Run(fmt.Sprintf("hub/%d", viewers), func(b *testing.B) { ours(b, viewers) })
	}
}

func ours(b *testing.B, viewers int) {
	r := start(b, ws.Config{})
	c := &crowd{}
	first := [][]byte{wire.Encode(wire.Proto, hello("")), wire.Encode(wire.Proto, subscribe("competition/race/board", ""))}
	for range viewers {
		c.join(b, r.url, first)
	}
	defer c.leave()
	r.hub.Update(boardUpdate(b, 1, 1, 0, p3(1)))
	// All have the snapshot once the bytes have stopped coming.
	for before := int64(-1); before != c.bytes.Load() || c.bytes.Load() < int64(viewers)*500; {
		before = c.bytes.Load()
		<-time.After(50 * time.Millisecond)
	}
	b.ResetTimer()
	began, at, tick := cpu(), c.bytes.Load(), uint64(1)
	want := at
	for b.Loop() {
		tick++
		want += int64(viewers) * onWire(deltaOf(tick))
		r.hub.Update(boardUpdate(b, 1, tick, tick-1, p3(tick)))
		c.wait(b, want)
	}
	report(b, viewers, began, want-at)
	b.StopTimer()
}

func bare(b *testing.B, viewers int) {
	var mu sync.Mutex
	var queues []chan []byte
	var wg sync.WaitGroup
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: wire.Subprotocols(), CompressionMode: websocket.CompressionDisabled})
		if err != nil {
			return
		}
		wg.Add(1)
		defer wg.Done()
		ctx := context.WithoutCancel(r.Context())
		q := make(chan []byte, 4)
		mu.Lock()
		queues = append(queues, q)
		mu.Unlock()
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
	}))
	c := &crowd{}
	for range viewers {
		c.join(b, strings.Replace(server.URL, "http", "ws", 1)+"/live", nil)
	}
	eventually(b, func() bool { mu.Lock(); defer mu.Unlock(); return len(queues) == viewers })
	b.ResetTimer()
	began, want, tick := cpu(), int64(0), uint64(1)
	for b.Loop() {
		tick++
		frame := deltaOf(tick)
		want += int64(viewers) * onWire(frame)
		for _, q := range queues {
			q <- frame
		}
		c.wait(b, want)
	}
	report(b, viewers, began, want)
	b.StopTimer()
	c.leave()
	server.Close()
	wg.Wait()
}
