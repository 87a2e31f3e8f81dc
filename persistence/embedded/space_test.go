package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"paceline/persistence"
)

// disk is a file system with so many bytes: what does not fit is ENOSPC, as on a real one.
type disk struct {
	vfs.FS
	size    atomic.Uint64
	refused atomic.Int64 // writes of logs and lists that did not fit; a table of the background is only tried again
	mu      sync.Mutex
	room    int // bytes that fit for certain
	noFlush bool
}

func (d *disk) used() (n uint64) {
	names, err := d.List("data")
	if err != nil {
		return 0
	}
	for _, name := range names {
		if info, err := d.Stat(d.PathJoin("data", name)); err == nil {
			n += uint64(info.Size())
		}
	}
	return n
}

func (d *disk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	size, used := d.size.Load(), d.used()
	return vfs.DiskUsage{TotalBytes: size, UsedBytes: used, AvailBytes: size - min(used, size)}, nil
}

func (d *disk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, c)
	return &diskFile{f, d, strings.HasSuffix(name, ".sst")}, err
}

func (d *disk) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.ReuseForWrite(old, name, c)
	return &diskFile{f, d, strings.HasSuffix(name, ".sst")}, err
}

type diskFile struct {
	vfs.File
	d     *disk
	table bool
}

func (f *diskFile) Write(p []byte) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.room < len(p) {
		f.d.room = int(f.d.size.Load()) - int(f.d.used())
	}
	if f.d.room < len(p) {
		if !f.table {
			f.d.refused.Add(1)
		}
		return 0, syscall.ENOSPC
	}
	f.d.room -= len(p)
	return f.File.Write(p)
}

// take leaves no room at all, as if somebody else had filled the disk.
func (d *disk) take() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.size.Store(0)
	d.room = 0
}

// lines is a log that the store's background writes into while the test reads.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func openDisk(t *testing.T, d *disk, reserve uint64, log *lines) *Rows {
	t.Helper()
	cfg := Default()
	cfg.MemTableBytes, cfg.ReserveBytes = 256<<10, reserve
	if d.noFlush {
		cfg.MemTableBytes = 64 << 20
	}
	if log != nil {
		cfg.Log = slog.New(slog.NewTextHandler(log, nil))
	}
	r, err := openOn(t.Context(), cfg, d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// payload is 32 KiB that do not compress.
func payload(n uint64) string {
	b := make([]byte, 32<<10)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(b)
	return string(b)
}

// fill appends groups of events until one is refused, and returns how many were acknowledged.
func fill(r *Rows, from uint64) (acked uint64, err error) {
	s := persistence.Over(r)
	for n := from; ; n++ {
		a := persistence.Append{Grain: grainOf(0), Expected: n, AppendID: fmt.Sprint(n), Records: []persistence.Record{event(n+1, payload(n))}}
		r.space.look() // the clock of the looks is not what is tested
		if ok, _, err := s.Append(context.Background(), a); err != nil || !ok {
			return n, err
		}
	}
}

// TestAFullDiskIsSaidAndLosesNothing: writes are refused while there still is room for what the store itself must write;
// reads go on; with room again so do writes; everything that was acknowledged is found by the next process.
func TestAFullDiskIsSaidAndLosesNothing(t *testing.T) {
	ctx := context.Background()
	mem := vfs.NewCrashableMem()
	d := &disk{FS: mem}
	// Room for what is rewritten beside what is there, of all that fits: with less the background is refused, loses
	// nothing by it, and the test could not tell that from a write that was let through.
	const reserve = 24 << 20
	d.size.Store(reserve + 12<<20)
	var log lines
	r := openDisk(t, d, reserve, &log)
	acked, err := fill(r, 0)
	if !errors.Is(err, persistence.ErrFull) || !errors.Is(err, persistence.ErrUnavailable) {
		t.Fatalf("after %d appends: %v, want the store to say that it is full", acked, err)
	}
	if n := d.refused.Load(); n != 0 || acked == 0 {
		t.Fatalf("%d appends; the disk itself has refused %d writes", acked, n)
	}
	// From here on nothing that the background deletes makes room enough.
	d.size.Store(d.used() + reserve/4)
	r.space.look()
	since, free := r.Full()
	if since == 0 || free >= reserve || !strings.Contains(log.String(), "the disk is nearly full") {
		t.Errorf("Full() = %d, %d; log: %s", since, free, log.String())
	}
	s := persistence.Over(r)
	for what, write := range map[string]func() error{
		"block":      func() error { _, err := s.PutBlock(ctx, streamOf(0), block(1)); return err },
		"cursor":     func() error { return s.PutCursor(ctx, grainOf(0), "c", 1) },
		"deletion":   func() error { return s.DeleteThrough(ctx, streamOf(0), 1) },
		"meta value": func() error { return r.PutMeta("m", nil) },
	} {
		if err := write(); !errors.Is(err, persistence.ErrFull) && what != "deletion" || what == "deletion" && err != nil && !errors.Is(err, persistence.ErrFull) {
			t.Errorf("%s: %v, want it refused", what, err)
		}
	}
	if h, err := s.Head(ctx, grainOf(0)); err != nil || h.Version != acked {
		t.Errorf("Head = %+v, %v, want %d: reads go on", h, err, acked)
	}
	// What a crash leaves at this moment holds everything.
	after := openDisk(t, roomy(mem.CrashClone(vfs.CrashCloneCfg{})), 0, nil)
	if h, err := persistence.Over(after).Head(ctx, grainOf(0)); err != nil || h.Version != acked {
		t.Errorf("after a crash: %+v, %v, want %d", h, err, acked)
	}
	if err := after.Close(); err != nil {
		t.Error(err)
	}
	d.size.Add(reserve + 8<<20)
	more, err := fill(r, acked)
	if !errors.Is(err, persistence.ErrFull) || more <= acked || d.refused.Load() != 0 {
		t.Errorf("with room again: %d appends after %d, %v, %d refused by the disk", more, acked, err, d.refused.Load())
	}
	if !strings.Contains(log.String(), "has room again") {
		t.Errorf("log: %s", log.String())
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// TestADiskThatIsFullAtOnceEndsTheStore: somebody else has taken the reserve between two looks. The store cannot go on, says
// so, and what it had acknowledged is found by the next process.
func TestADiskThatIsFullAtOnceEndsTheStore(t *testing.T) {
	mem := vfs.NewCrashableMem()
	d := &disk{FS: mem, noFlush: true} // so that the log meets it, on the test's own goroutine
	d.size.Store(64 << 20)
	var log lines
	r := openDisk(t, d, 0, &log)
	var acked uint64
	ended := func() (why string) {
		defer func() { why = fmt.Sprint(recover()) }()
		s := persistence.Over(r)
		for n := uint64(0); ; n++ {
			if n == 20 { // the log is what meets it first: a flush that finds no room is only tried again
				d.take()
			}
			a := persistence.Append{Grain: grainOf(0), Expected: n, AppendID: fmt.Sprint(n), Records: []persistence.Record{event(n+1, payload(n))}}
			if ok, _, err := s.Append(context.Background(), a); err != nil || !ok {
				return fmt.Sprintf("refused: %v", err)
			}
			acked = n + 1
		}
	}()
	if !strings.Contains(ended, "the store cannot go on") || d.refused.Load() == 0 {
		t.Fatalf("ended by %q after %d appends", ended, acked)
	}
	if !strings.Contains(log.String(), "found when it is started again") {
		t.Errorf("log: %s", log.String())
	}
	after := openDisk(t, roomy(mem.CrashClone(vfs.CrashCloneCfg{})), 0, nil)
	if h, err := persistence.Over(after).Head(context.Background(), grainOf(0)); err != nil || h.Version < acked || h.Version > acked+1 {
		t.Errorf("after a restart: %+v, %v, want %d", h, err, acked)
	}
	if err := after.Close(); err != nil {
		t.Error(err)
	}
}

func roomy(fs vfs.FS) *disk {
	d := &disk{FS: fs}
	d.size.Store(1 << 30)
	return d
}

// TestRoomAgain: a quarter more than what is kept, so that writes are not taken and refused in turns.
func TestRoomAgain(t *testing.T) {
	d := &disk{FS: vfs.NewMem()}
	said := ""
	s := space{fs: d, reserve: 100, tell: func(full bool, free uint64) { said += fmt.Sprint(full, free, " ") }}
	for _, step := range []struct {
		free uint64
		full bool
	}{{101, false}, {100, false}, {99, true}, {100, true}, {124, true}, {125, false}, {100, false}, {0, true}} {
		d.size.Store(step.free)
		s.look()
		if (s.room() != nil) != step.full {
			t.Errorf("%d bytes are free: full is %v, want %v", step.free, !step.full, step.full)
		}
	}
	if said != "true 99 false 125 true 0 " {
		t.Errorf("said %q", said)
	}
}
