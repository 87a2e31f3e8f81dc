package sealed_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paceline/domain/id"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/persistence"
	"paceline/persistence/embedded"
	"paceline/persistence/memory"
	"paceline/persistence/persistencetest"
	"paceline/persistence/sealed"
)

func seal(t testing.TB, rows persistence.Rows) *sealed.Rows {
	t.Helper()
	s, err := sealed.New(context.Background(), rows, sealed.Config{Wrapping: sealed.WrappingKey{1, 2, 3}, CachedKeys: 2})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openEmbedded(t testing.TB, folder string) *embedded.Rows {
	t.Helper()
	cfg := embedded.Default()
	cfg.Folder = folder
	r, err := embedded.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func TestSealedOverMemory(t *testing.T) {
	persistencetest.Run(t, func(t testing.TB) persistence.Rows { return seal(t, memory.New()) })
}

func TestSealedOverEmbedded(t *testing.T) {
	persistencetest.Run(t, func(t testing.TB) persistence.Rows { return seal(t, openEmbedded(t, t.TempDir())) })
}

const secret = "a name nobody may read"

var (
	user   = id.Of(id.User, "user-1")
	device = id.Scoped(id.Device, "user-1", "watch")
	ride   = id.Scoped(id.Training, "user-1", "ride")
	race   = id.Of(id.Competition, "race")
	stream = persistence.SeriesKey{Device: device.ID, Stream: "s", Subject: "user-1"}
)

func block() *sample.Batch {
	b := &sample.Batch{FirstSeq: 1}
	b.Columns[sample.HeartRateBpm].Grow(100)
	for i := range 100 {
		b.AtMs = append(b.AtMs, unit.InstantMs(i))
		b.Columns[sample.HeartRateBpm].Set(i, int64(100+i))
	}
	return b
}

func record(text string) persistence.Append {
	return persistence.Append{AppendID: "a", Records: []persistence.Record{{Version: 1, Kind: 1, Format: 1, Payload: []byte(text)}}}
}

// fill stores something of every kind and returns the digest of the recording.
func fill(t testing.TB, s persistence.Store) [32]byte {
	t.Helper()
	ctx := context.Background()
	for _, g := range []id.Grain{user, device, ride, race} {
		a := record(secret)
		a.Grain = g
		if ok, _, err := s.Append(ctx, a); err != nil || !ok {
			t.Fatal(ok, err)
		}
		if err := s.PutSnapshot(ctx, g, "snapshot", persistence.Snapshot{Version: 1, Bytes: []byte(secret)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.PutBlock(ctx, stream, block()); err != nil {
		t.Fatal(err)
	}
	d := sample.NewDigest()
	d.Add(block(), 0, 100)
	digest, err := s.PutRecording(ctx, "user-1", persistence.Recording{Workout: ride.ID,
		Streams: []persistence.RecordedStream{{Key: stream, Through: 100, Digest: d.Sum(), Batches: []sample.Batch{*block()}}}})
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// TestNothingOfAPersonIsPlain looks at every stored byte.
func TestNothingOfAPersonIsPlain(t *testing.T) {
	rows := memory.New()
	fill(t, persistence.Over(seal(t, rows)))
	plain := persistence.AppendBlock(nil, block())
	seen := 0
	for table := persistence.TableJournal; table <= persistence.TableView; table++ {
		rows.Each(table, func(part string, row persistence.Row) {
			seen++
			competition := strings.Contains(part, string(id.Competition))
			if bytes.Contains(row.Cell, []byte(secret)) != (competition && table != persistence.TableKeys) {
				t.Errorf("table %d, %q: a competition is plain, everything of a person is not", table, part)
			}
			if bytes.Contains(row.Cell, plain[2:20]) {
				t.Errorf("table %d, %q holds plain samples", table, part)
			}
		})
	}
	if seen < 12 {
		t.Fatalf("only %d rows were looked at", seen)
	}
	key, err := seal(t, rows).RowID(context.Background(), "user-1", []byte("x"))
	if err != nil || key == persistence.PlainRowID([]byte("x")) {
		t.Errorf("the name of a row is a plain hash of its content (%v)", err)
	}
}

// TestDeterministic: two processes write the same block; it is the same row with the same bytes.
func TestDeterministic(t *testing.T) {
	ctx := context.Background()
	rows := memory.New()
	cell := func() (all []byte) {
		rows.Each(persistence.TableSeries, func(_ string, row persistence.Row) { all = append(append(all, row.Cluster...), row.Cell...) })
		return all
	}
	var first []byte
	for i := range 2 {
		if _, err := persistence.Over(seal(t, rows)).PutBlock(ctx, stream, block()); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = cell()
		}
	}
	if rows.Len(persistence.TableSeries) != 1 || !bytes.Equal(first, cell()) {
		t.Error("the same block again is another row, or other bytes")
	}
}

// TestMovedCell: a cell at another place, or with a flipped bit, is not opened.
func TestMovedCell(t *testing.T) {
	ctx := context.Background()
	rows := memory.New()
	s := seal(t, rows)
	p := persistence.Part{Table: persistence.TableView, Key: "p", Subject: "user-1"}
	q := persistence.Part{Table: persistence.TableView, Key: "q", Subject: "user-1"}
	if err := s.Put(ctx, []persistence.Mutation{{Part: p, Row: persistence.Row{Cluster: "c", Cell: []byte(secret)}}}); err != nil {
		t.Fatal(err)
	}
	cell, _, _ := rows.Get(ctx, p, "c")
	flipped := bytes.Clone(cell)
	flipped[len(flipped)-1] ^= 1
	for _, m := range []persistence.Mutation{
		{Part: q, Row: persistence.Row{Cluster: "c", Cell: cell}}, {Part: q, Row: persistence.Row{Cluster: "d", Cell: flipped}},
		{Part: q, Row: persistence.Row{Cluster: "e", Cell: []byte{1}}},
	} {
		if err := rows.Put(ctx, []persistence.Mutation{m}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Get(ctx, q, m.Row.Cluster); !errors.Is(err, persistence.ErrCorrupt) {
			t.Errorf("cell %q: %v, want ErrCorrupt", m.Row.Cluster, err)
		}
	}
}

func TestErase(t *testing.T) {
	ctx := context.Background()
	rows := openEmbedded(t, t.TempDir())
	sealing := seal(t, rows)
	s := persistence.Over(sealing)
	digest := fill(t, s)
	before, _, err := rows.Get(ctx, persistence.Part{Table: persistence.TableKeys, Key: "user-1"}, "")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := sealing.Erase(ctx, "user-1"); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []persistence.Store{s, persistence.Over(seal(t, rows))} {
		for _, g := range []id.Grain{user, device, ride} {
			if _, _, err := s.ReadJournal(ctx, g, 0, 0); !errors.Is(err, persistence.ErrErased) {
				t.Errorf("journal of %v: %v, want ErrErased", g, err)
			}
			if _, _, err := s.LastSnapshot(ctx, g, "snapshot"); !errors.Is(err, persistence.ErrErased) {
				t.Errorf("snapshot of %v: %v, want ErrErased", g, err)
			}
		}
		if _, err := s.ReadSeries(ctx, persistence.SeriesQuery{Key: stream}); !errors.Is(err, persistence.ErrErased) {
			t.Errorf("samples: %v, want ErrErased", err)
		}
		if _, _, err := s.GetRecording(ctx, "user-1", ride.ID, digest); !errors.Is(err, persistence.ErrErased) {
			t.Errorf("recording: %v, want ErrErased", err)
		}
		if _, err := s.PutBlock(ctx, stream, block()); !errors.Is(err, persistence.ErrErased) {
			t.Errorf("a late block: %v, want ErrErased: it must not make a new key", err)
		}
		if r, _, err := s.ReadJournal(ctx, race, 0, 0); err != nil || len(r) != 1 {
			t.Errorf("the competition: %d events, %v; want it whole", len(r), err)
		}
	}
	if err := sealing.Erase(ctx, "never-seen"); err != nil {
		t.Fatal(err)
	}
	other := stream
	other.Subject = "never-seen"
	if _, err := s.PutBlock(ctx, other, block()); !errors.Is(err, persistence.ErrErased) {
		t.Errorf("a write for one who was erased before: %v", err)
	}
	if after, _, err := rows.Get(ctx, persistence.Part{Table: persistence.TableKeys, Key: "user-1"}, ""); err != nil || len(after) < len(before) || bytes.Contains(after, before[1:]) {
		t.Errorf("the key was not overwritten (%v)", err)
	}
}

func TestWrongWrappingKey(t *testing.T) {
	ctx := context.Background()
	rows := memory.New()
	fill(t, persistence.Over(seal(t, rows)))
	if _, err := sealed.New(ctx, rows, sealed.Config{Wrapping: sealed.WrappingKey{9}}); !errors.Is(err, sealed.ErrWrongKey) {
		t.Errorf("New with another key: %v, want ErrWrongKey", err)
	}
	// Only the keys are lost: what is left of the data is dead.
	rows.Drop(persistence.TableKeys)
	if _, _, err := persistence.Over(seal(t, rows)).ReadJournal(ctx, user, 0, 0); !errors.Is(err, persistence.ErrErased) {
		t.Errorf("without the keys: %v, want ErrErased", err)
	}
}

func TestBlind(t *testing.T) {
	a, b := seal(t, memory.New()), seal(t, memory.New())
	if a.Blind("x") != b.Blind("x") || a.Blind("x") == a.Blind("y") || strings.Contains(a.Blind("x"), "x") {
		t.Error("Blind must be the same for equal values, and only for them")
	}
}

func TestWrappingKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "wrapping.key")
	key, err := sealed.LoadOrCreateWrappingKey(path)
	if err != nil || key == (sealed.WrappingKey{}) {
		t.Fatal(key, err)
	}
	if again, err := sealed.LoadOrCreateWrappingKey(path); err != nil || again != key {
		t.Errorf("the second time: %v, %v", again == key, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%d files beside it", len(left))
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := sealed.LoadOrCreateWrappingKey(path); !errors.Is(err, sealed.ErrKeyFile) {
		t.Errorf("readable by others: %v, want ErrKeyFile", err)
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sealed.LoadOrCreateWrappingKey(path); !errors.Is(err, sealed.ErrKeyFile) {
		t.Errorf("a short key: %v, want ErrKeyFile", err)
	}
}

// TestADamagedSnapshotIsPassedOver: it is a cache. The one before it counts, or none, and the next one is written as ever.
func TestADamagedSnapshotIsPassedOver(t *testing.T) {
	ctx := context.Background()
	rows := memory.New()
	s := persistence.Over(seal(t, rows))
	part := persistence.SnapshotPart(ride, "snapshot")
	damage := func() {
		t.Helper()
		newest, err := rows.Range(ctx, part, persistence.Range{Limit: 1})
		if err != nil || len(newest) != 1 {
			t.Fatal(newest, err)
		}
		cell := bytes.Clone(newest[0].Cell)
		cell[len(cell)-1] ^= 1
		if err := rows.Put(ctx, []persistence.Mutation{{Part: part, Row: persistence.Row{Cluster: newest[0].Cluster, Cell: cell}}}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(version uint64) {
		t.Helper()
		if got, ok, err := s.LastSnapshot(ctx, ride, "snapshot"); err != nil || ok != (version > 0) || got.Version != version {
			t.Errorf("the last snapshot is %d, %v, %v; want %d", got.Version, ok, err, version)
		}
	}
	put := func(version uint64) {
		t.Helper()
		if err := s.PutSnapshot(ctx, ride, "snapshot", persistence.Snapshot{Version: version, Bytes: []byte("state")}); err != nil {
			t.Fatal(err)
		}
		want(version)
	}
	put(1)
	damage()
	want(0)
	put(2)
	put(3)
	damage()
	want(2)
	put(4)
	if err := rows.Put(ctx, []persistence.Mutation{{Part: part, Row: persistence.Row{Cluster: "\x00no key of a chunk", Cell: []byte("?")}}}); err != nil {
		t.Fatal(err)
	}
	want(4)
}
