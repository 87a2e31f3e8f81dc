package cached

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"golang.org/x/sync/singleflight"

	"paceline/domain/id"
	"paceline/persistence"
	"paceline/persistence/view"
)

// Config is how much is held, and for how long.
type Config struct {
	// MaxBytes bounds what is held, by the lengths of what is in it.
	MaxBytes int64
	// Age is how long an entry may be served, for what other processes write; 0: for as long as this one writes nothing.
	Age time.Duration
	// Now is the clock for Age; nil: time.Now.
	Now func() time.Time
}

const (
	// maxMarks bounds the things whose versions are remembered, about 100 bytes each.
	maxMarks = 1 << 16
	// loadWithin bounds a read that several wait for, whoever of them gives up.
	loadWithin = 15 * time.Second
	// entryBytes is what an entry costs beside its key and value, in the cache's own tables too.
	entryBytes = 256
)

// Source is what is cached: the views, which tell what has changed.
type Source interface {
	view.Reader
	Tell(f func(view.Touch))
}

// Counts is what has happened so far.
type Counts struct {
	Hits    atomic.Int64
	Misses  atomic.Int64 // reads of the views, and reads that joined one
	Joined  atomic.Int64 // of the misses: waited for another one's read
	Stale   atomic.Int64 // of the misses: there was an entry, and it was too old
	Dropped atomic.Int64 // entries that the cache did not take: busy, or larger than an eighth of it
}

// Views implements view.Reader over another one. Safe for concurrent use; Close ends its goroutine.
type Views struct {
	view.Reader // what is not cached
	cfg         Config
	cache       *ristretto.Cache[string, *entry]
	flights     singleflight.Group
	marks       marks
	counts      Counts
}

var _ view.Reader = (*Views)(nil)

// entry is one answer. key is compared again: the cache itself compares hashes only.
type entry struct {
	key   string
	seen  seen
	till  time.Time // zero: for ever
	value any
}

// Over caches a source.
func Over(under Source, cfg Config) (*Views, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cache, err := ristretto.NewCache(&ristretto.Config[string, *entry]{
		MaxCost: cfg.MaxBytes, NumCounters: max(cfg.MaxBytes/100, 1000), BufferItems: 64,
		IgnoreInternalCost: true, // it is in entryBytes
	})
	if err != nil {
		return nil, fmt.Errorf("cache of views of %d bytes: %w", cfg.MaxBytes, err)
	}
	v := &Views{Reader: under, cfg: cfg, cache: cache, marks: marks{of: make(map[string]mark), most: maxMarks}}
	under.Tell(v.touched)
	return v, nil
}

// Close ends what works behind the cache. Reads then go to the views.
func (v *Views) Close() { v.cache.Close() }

// Counts are live.
func (v *Views) Counts() *Counts { return &v.counts }

// Bytes is what is held now, as it is counted.
func (v *Views) Bytes() int64 { return v.cfg.MaxBytes - v.cache.RemainingCost() }

// What entries depend on.
const anyList = "lists" // raised when a version is known, and not which lists it changed

func grainDep(g id.Grain) string         { return "grain/" + g.String() }
func listDep(organization string) string { return "list/" + organization }
func userDep(userID string) string       { return "user/" + userID }
func raceDeps(competition string) [2]string {
	return [2]string{grainDep(id.Of(id.Competition, competition))}
}
func orgDeps(organization string) [2]string   { return [2]string{listDep(organization), anyList} }
func resultsDeps(userID string) [2]string     { return [2]string{userDep(userID), anyList} }
func keyOf(method string, s ...string) string { return keyWith(method, nil, s...) }

func keyWith(method string, n []uint64, s ...string) string {
	k := (&persistence.Key{}).Str(method)
	for _, x := range s {
		k.Str(x)
	}
	for _, x := range n {
		k.U64(x)
	}
	return k.String()
}

// touched raises the marks of what a committed change has made old.
func (v *Views) touched(t view.Touch) {
	if t.Grain == (id.Grain{}) {
		v.marks.void() // another generation of the rows
		return
	}
	for _, o := range t.Organizations {
		v.marks.changed(listDep(o), 0)
	}
	for _, u := range t.Users {
		v.marks.changed(userDep(u), 0)
	}
	v.marks.changed(grainDep(t.Grain), t.Through)
}

// WaitFor implements view.Reader. What is read after it answers true has the version.
func (v *Views) WaitFor(ctx context.Context, g id.Grain, version uint64) (bool, error) {
	if v.marks.known(grainDep(g)) >= version {
		return true, nil // this process has written it, or somebody has waited for it
	}
	ok, err := v.Reader.WaitFor(ctx, g, version)
	if ok && err == nil && v.marks.raise(grainDep(g), version) {
		v.marks.changed(anyList, 0) // another process wrote it: which lists it is in is not known here
	}
	return ok, err
}

// answer is what was read, what it costs to hold, and whether it is worth it.
type answer[T any] struct {
	value T
	bytes int
	keep  bool
}

// read serves an answer from the cache, or reads it once for all who wait for it.
func read[T any](ctx context.Context, v *Views, key string, deps [2]string, load func(ctx context.Context) (answer[T], error)) (T, error) {
	var none T
	need := v.marks.now(deps)
	if e, ok := v.cache.Get(key); ok && e.key == key {
		if e.seen.covers(need) && (e.till.IsZero() || v.cfg.Now().Before(e.till)) {
			v.counts.Hits.Add(1)
			return e.value.(T), nil
		}
		v.counts.Stale.Add(1)
	}
	v.counts.Misses.Add(1)
	mine := false
	done := v.flights.DoChan(need.name(key), func() (_ any, err error) {
		mine = true
		defer func() {
			if p := recover(); p != nil { // elsewhere than in the caller's goroutine it would end the process
				err = fmt.Errorf("read of a view has panicked: %v", p)
			}
		}()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadWithin)
		defer cancel()
		a, err := load(ctx)
		if err != nil {
			return nil, err
		}
		if a.keep {
			v.keep(&entry{key: key, seen: need, value: a.value}, a.bytes)
		}
		return a.value, nil
	})
	select {
	case <-ctx.Done():
		return none, ctx.Err()
	case r := <-done:
		if !mine {
			v.counts.Joined.Add(1)
		}
		if r.Err != nil {
			return none, r.Err
		}
		return r.Val.(T), nil
	}
}

// name tells reads of one key apart that must be of different versions.
func (s seen) name(key string) string {
	b := append(make([]byte, 0, len(key)+24), key...)
	for _, n := range []uint64{s.epoch, s.of[0].times, s.of[1].times} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return string(b)
}

func (v *Views) keep(e *entry, bytes int) {
	if v.cfg.Age > 0 {
		e.till = v.cfg.Now().Add(v.cfg.Age)
	}
	if int64(bytes) > v.cfg.MaxBytes/8 || !v.cache.Set(e.key, e, int64(bytes+len(e.key)+entryBytes)) {
		v.counts.Dropped.Add(1)
	}
}
