package cql

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"paceline/domain/id"
	"paceline/internal/testkit"
	"paceline/persistence"
)

// behind opens the driver over a proxy in front of the tests' server.
func behind(t testing.TB, change func(*Config)) (*testkit.CQLProxy, persistence.Rows) {
	t.Helper()
	server(t)
	p := testkit.NewCQLProxy(t, world.cfg.Hosts[0])
	cfg := world.cfg
	cfg.Hosts = []string{p.Addr()}
	cfg.Timeout, cfg.Connections = 5*time.Second, 1
	if change != nil {
		change(&cfg)
	}
	rows, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rows.Close() })
	return p, open(t, rows)
}

var race = id.Of(id.Competition, "race")

func event(after uint64, appendID string) persistence.Append {
	return persistence.Append{Grain: race, Expected: after, AppendID: appendID, Records: []persistence.Record{
		{Version: after + 1, Kind: 1, Format: 1, Payload: []byte(appendID)}}}
}

func mustAppend(t testing.TB, s *persistence.RowStore, a persistence.Append) {
	t.Helper()
	if ok, head, err := s.Append(context.Background(), a); !ok || err != nil {
		t.Fatalf("append %s: %v, %+v, %v", a.AppendID, ok, head, err)
	}
}

func events(t testing.TB, s *persistence.RowStore) (all string) {
	t.Helper()
	records, _, err := s.ReadJournal(context.Background(), race, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		all += string(r.Payload)
	}
	return all
}

// TestAppendWithoutAnswer: the answer to a conditional batch is lost, with the connection or alone, or the batch
// itself is. It is sent once and its outcome is never guessed: the head says it, and the same append again is applied
// if it was not there, and refused by its own earlier copy if it was.
func TestAppendWithoutAnswer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		what   testkit.Deed
		landed bool
	}{{"answer lost", testkit.Swallow, true}, {"connection lost after the write", testkit.Sever, true}, {"connection lost before the write", testkit.Lose, false}} {
		t.Run(tt.name, func(t *testing.T) {
			// More than one connection, so that a second attempt would have a way.
			p, rows := behind(t, func(c *Config) { c.Timeout, c.Connections = 1500*time.Millisecond, 4 })
			ctx := context.Background()
			s := persistence.Over(rows)
			mustAppend(t, s, event(0, "a"))
			before := p.Count(testkit.CQLBatch)
			p.Next(testkit.CQLBatch, 1, tt.what)
			if ok, _, err := s.Append(ctx, event(1, "b")); ok || !errors.Is(err, persistence.ErrUnknown) {
				t.Fatalf("append: %v, %v, want ErrUnknown", ok, err)
			}
			if sent := p.Count(testkit.CQLBatch) - before; sent != 1 {
				t.Fatalf("it was sent %d times", sent)
			}
			head := eventually(t, func() (persistence.Head, error) { return s.Head(ctx, race) })
			if (head.AppendID == "b") != tt.landed {
				t.Fatalf("head %+v, landed %v", head, tt.landed)
			}
			ok, head, err := s.Append(ctx, event(1, "b"))
			if err != nil || ok == tt.landed || head.AppendID != "b" || head.Version != 2 {
				t.Fatalf("the same again: %v, %+v, %v", ok, head, err)
			}
			mustAppend(t, s, event(2, "c"))
			if got := events(t, s); got != "abc" {
				t.Fatalf("events %q, want abc", got)
			}
		})
	}
}

// eventually repeats what may fail while a connection comes back.
func eventually[T any](t testing.TB, f func() (T, error)) T {
	t.Helper()
	var v T
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if v, err = f(); err == nil {
			return v
		}
		<-time.After(20 * time.Millisecond)
	}
	t.Fatal(err)
	return v
}

// TestLateAppend: a batch that is still on its way when another append is applied arrives, and nothing of it counts.
func TestLateAppend(t *testing.T) {
	p, rows := behind(t, func(c *Config) { c.Timeout = time.Second })
	direct := persistence.Over(&apart{Rows: server(t), prefix: rows.(*apart).prefix})
	s := persistence.Over(rows)
	mustAppend(t, s, event(0, "a"))
	p.Next(testkit.CQLBatch, 1, testkit.Hold)
	if _, _, err := s.Append(context.Background(), event(1, "b")); !errors.Is(err, persistence.ErrUnknown) {
		t.Fatalf("append: %v, want ErrUnknown", err)
	}
	mustAppend(t, direct, event(1, "c"))
	p.Release()
	mustAppend(t, direct, event(2, "d"))
	if got := events(t, direct); got != "acd" {
		t.Fatalf("events %q, want acd", got)
	}
}

func row(cluster, cell string) []persistence.Mutation {
	return []persistence.Mutation{{Part: persistence.Part{Table: persistence.TableView, Key: "p"}, Row: persistence.Row{Cluster: cluster, Cell: []byte(cell)}}}
}

func cellOf(t testing.TB, rows persistence.Rows, cluster string) string {
	t.Helper()
	cell := eventually(t, func() ([]byte, error) {
		cell, _, err := rows.Get(context.Background(), row("", "")[0].Part, cluster)
		return cell, err
	})
	return string(cell)
}

// TestPlainWithoutAnswer: a plain write is sent once more, with the same timestamp; if that is not answered either,
// its outcome is unknown.
func TestPlainWithoutAnswer(t *testing.T) {
	ctx := context.Background()
	p, rows := behind(t, func(c *Config) { c.Connections = 2 })
	if err := rows.Put(ctx, row("0", "warm")); err != nil {
		t.Fatal(err)
	}
	p.Next(testkit.CQLExecute, 1, testkit.Sever)
	if err := rows.Put(ctx, row("a", "1")); err != nil && !errors.Is(err, persistence.ErrUnknown) {
		t.Errorf("one answer lost: %v", err) // nil if the other connection was there already
	}
	if got := cellOf(t, rows, "a"); got != "1" {
		t.Errorf("the cell is %q", got)
	}
	p.All(testkit.Sever)
	if err := rows.Put(ctx, row("b", "1")); !errors.Is(err, persistence.ErrUnknown) {
		t.Errorf("every answer lost: %v, want ErrUnknown", err)
	}
	p.All(testkit.Pass)
	if got := cellOf(t, rows, "b"); got != "1" {
		t.Errorf("the cell is %q", got)
	}
}

// TestLatePlainWrite: a write that arrives after a newer one of the same row does not undo it.
func TestLatePlainWrite(t *testing.T) {
	ctx := context.Background()
	p, rows := behind(t, func(c *Config) { c.Timeout = time.Second })
	direct := &apart{Rows: server(t), prefix: rows.(*apart).prefix}
	if err := rows.Put(ctx, row("a", "0")); err != nil {
		t.Fatal(err)
	}
	p.Next(testkit.CQLExecute, 1, testkit.Hold)
	if err := rows.Put(ctx, row("a", "old")); !errors.Is(err, persistence.ErrUnknown) {
		t.Fatalf("held: %v, want ErrUnknown", err)
	}
	if err := direct.Put(ctx, row("a", "new")); err != nil {
		t.Fatal(err)
	}
	p.Release()
	if err := direct.Put(ctx, row("z", "after")); err != nil {
		t.Fatal(err)
	}
	for range 20 { // the released one is not waited for: nobody hears its answer
		if got := cellOf(t, direct, "a"); got != "new" {
			t.Fatalf("the cell is %q, want the newer", got)
		}
	}
}

// TestCancelledUnderWay: whoever stops waiting does not know what became of a write.
func TestCancelledUnderWay(t *testing.T) {
	p, rows := behind(t, nil)
	s := persistence.Over(rows)
	mustAppend(t, s, event(0, "a"))
	if err := rows.Put(context.Background(), row("0", "warm")); err != nil {
		t.Fatal(err)
	}
	_ = cellOf(t, rows, "0")
	p.Latency(time.Second)
	for _, tt := range []struct {
		name string
		call func(ctx context.Context) error
		want error
	}{
		{"append", func(ctx context.Context) error { _, _, err := s.Append(ctx, event(1, "b")); return err }, persistence.ErrUnknown},
		{"put", func(ctx context.Context) error { return rows.Put(ctx, row("a", "1")) }, persistence.ErrUnknown},
		{"delete", func(ctx context.Context) error { return rows.DeleteRange(ctx, row("", "")[0].Part, "a", "") }, persistence.ErrUnknown},
		{"read", func(ctx context.Context) error { _, err := s.Head(ctx, race); return err }, persistence.ErrUnavailable},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		began := time.Now()
		err := tt.call(ctx)
		cancel()
		if !errors.Is(err, tt.want) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if took := time.Since(began); took > 900*time.Millisecond {
			t.Errorf("%s: it went on for %v", tt.name, took)
		}
	}
}

// TestSlow: a server that takes longer than the timeout: writes are unknown, reads unavailable, what waits is bounded,
// and when it is fast again everything goes on.
func TestSlow(t *testing.T) {
	p, rows := behind(t, func(c *Config) { c.Timeout, c.Writes, c.Waiting = 500*time.Millisecond, 4, 4 })
	ctx := context.Background()
	if err := rows.Put(ctx, row("0", "warm")); err != nil {
		t.Fatal(err)
	}
	_ = cellOf(t, rows, "0")
	p.Latency(2 * time.Second)
	if _, _, err := rows.Get(ctx, row("", "")[0].Part, "0"); !errors.Is(err, persistence.ErrUnavailable) {
		t.Errorf("read: %v", err)
	}
	const writers = 20
	errs := make(chan error, writers)
	for i := range writers {
		go func() { errs <- rows.Put(ctx, row(fmt.Sprint("w", i), "1")) }()
	}
	var unknown, refused int
	for range writers {
		switch err := <-errs; {
		case errors.Is(err, persistence.ErrUnknown):
			unknown++
		case errors.Is(err, persistence.ErrUnavailable):
			refused++
		default:
			t.Errorf("put: %v", err)
		}
	}
	if unknown > 8 || refused < writers-8 {
		t.Errorf("%d unknown, %d refused: want at most 4 under way and 4 waiting", unknown, refused)
	}
	p.Latency(0)
	eventually(t, func() (int, error) { return 0, rows.Put(ctx, row("after", "1")) })
}

// TestGoneAndBack: no server for a while; the same driver goes on when there is one again.
func TestGoneAndBack(t *testing.T) {
	p, rows := behind(t, func(c *Config) { c.Timeout = time.Second })
	s := persistence.Over(rows)
	ctx := context.Background()
	mustAppend(t, s, event(0, "a"))
	for round := range 2 {
		after := uint64(round + 1)
		p.Leave()
		for range 20 {
			if _, _, err := s.Append(ctx, event(after, "x")); !errors.Is(err, persistence.ErrUnavailable) && !errors.Is(err, persistence.ErrUnknown) {
				t.Fatalf("append: %v", err)
			}
			if _, err := s.Head(ctx, race); !errors.Is(err, persistence.ErrUnavailable) {
				t.Fatalf("head: %v", err)
			}
		}
		// With no connection left it is known that nothing was written.
		eventually(t, func() (int, error) {
			_, _, err := s.Append(ctx, event(after, "x"))
			if errors.Is(err, persistence.ErrUnavailable) {
				return 0, nil
			}
			return 0, fmt.Errorf("want ErrUnavailable: %w", err)
		})
		p.Back()
		head := eventually(t, func() (persistence.Head, error) { return s.Head(ctx, race) })
		if head.Version != after {
			t.Fatalf("head %+v, want %d: nothing reached the server", head, after)
		}
		mustAppend(t, s, event(after, "b"))
	}
	if got := events(t, s); got != "abb" {
		t.Fatalf("events %q", got)
	}
}
