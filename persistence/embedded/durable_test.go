package embedded

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"paceline/domain/id"
	"paceline/persistence"
)

// slowFS is a disk whose syncs can be held up.
type slowFS struct {
	vfs.FS
	mu   sync.Mutex
	held chan struct{} // nil: syncs pass
}

func (f *slowFS) hold() (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	gate := make(chan struct{})
	f.held = gate
	return func() {
		f.mu.Lock()
		f.held = nil
		f.mu.Unlock()
		close(gate)
	}
}

func (f *slowFS) wait() {
	f.mu.Lock()
	gate := f.held
	f.mu.Unlock()
	if gate != nil {
		<-gate
	}
}

func (f *slowFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	return &slowFile{file, f}, err
}

func (f *slowFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(old, name, c)
	return &slowFile{file, f}, err
}

type slowFile struct {
	vfs.File
	fs *slowFS
}

func (f *slowFile) Sync() error     { f.fs.wait(); return f.File.Sync() }
func (f *slowFile) SyncData() error { f.fs.wait(); return f.File.SyncData() }

// TestReadersWaitForTheSync: what a head or a series read shows may be acknowledged to a client, so it must not
// be something that a crash can still take back.
func TestReadersWaitForTheSync(t *testing.T) {
	ctx := context.Background()
	fs := &slowFS{FS: vfs.NewMem()}
	r := openMem(t, fs)
	s := persistence.Over(r)
	if err := write(s, 0, 1); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		write func() error
		read  func() (uint64, error)
	}{
		"journal": {
			func() error {
				_, _, err := s.Append(ctx, persistence.Append{Grain: grainOf(0), Expected: 1, AppendID: "2", Records: []persistence.Record{event(2, "x")}})
				return err
			},
			func() (uint64, error) { h, err := s.Head(ctx, grainOf(0)); return h.Version, err },
		},
		"series": {
			func() error { _, err := s.PutBlock(ctx, streamOf(0), block(2)); return err },
			func() (uint64, error) {
				e, err := s.RecoverSeries(ctx, streamOf(0), 0, nil)
				return e.Through, err
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			release := fs.hold()
			written, read := make(chan error, 1), make(chan uint64, 1)
			go func() { written <- tt.write() }()
			waitFor(t, func() bool { return visible(r, name) })
			go func() {
				v, err := tt.read()
				if err != nil {
					t.Error(err)
				}
				read <- v
			}()
			select {
			case v := <-read:
				if v > 1 {
					t.Errorf("a reader sees %d before it is synced", v)
				}
				read <- v
			case err := <-written:
				t.Fatalf("the write was answered before the sync: %v", err)
			case <-time.After(50 * time.Millisecond): // it waits
			}
			release()
			if err := <-written; err != nil {
				t.Fatal(err)
			}
			if v := <-read; v != 2 {
				t.Errorf("read %d, want 2", v)
			}
		})
	}
}

// visible looks past the locks: the write has reached the database, but not the disk.
func visible(r *Rows, what string) bool {
	if what == "series" {
		k := persistence.Key{}
		p := persistence.Part{Table: persistence.TableSeries, Key: k.Str("d").Str("s0").U64(0).String()}
		lower, upper := bounds(p, "", "")
		return count(r, lower, upper) == 2
	}
	k := persistence.Key{}
	p := persistence.Part{Table: persistence.TableJournal, Key: k.Str(string(id.Competition)).Str("c0").U64(0).String()}
	h, err := r.head(p)
	return err == nil && h.Version == 2
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatal("it never came")
		}
		runtime.Gosched()
	}
}

func count(r *Rows, lower, upper []byte) int {
	it, err := r.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return 0
	}
	defer func() { _ = it.Close() }()
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	return n
}
