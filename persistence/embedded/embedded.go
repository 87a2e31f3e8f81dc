package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"paceline/persistence"
)

// Config says where and how to store.
type Config struct {
	// Folder holds everything; it is made if it is not there. One process at a time.
	Folder string
	// CacheBytes is memory for blocks that were read. More makes recovery and old results faster.
	CacheBytes int64
	// MemTableBytes is how much is collected in memory before it is written out sorted (beside the log, which
	// is written at once). More means fewer, larger files; up to four of them are held.
	MemTableBytes uint64
	// ReserveBytes of the disk are kept free: beneath it writes are refused (persistence.ErrFull) until there is room
	// again. More protects better against others that fill the disk; 0: nothing is kept.
	ReserveBytes uint64
	// CheckBytes is up to which size the tables are read whole when the folder is opened, so that damage is found before
	// it is served. The logs and the list of files are always looked at. 0: no tables.
	CheckBytes int64
	// Formats of what lies in the folder, by name; the store knows none of it. A folder in which one is higher was
	// written by a newer release and is refused.
	Formats map[string]int
	// Raised are formats that are only written once they are raised (Raise): the highest that this release can read. Unlike
	// those of caches nothing makes a folder without them again.
	Raised map[string]int
	// DropCaches deletes all snapshots and checkpoints: those of a newer release are then no reason to refuse.
	DropCaches bool
	// Log takes what the store has to say about itself; nil: slog's default.
	Log *slog.Logger
}

// Default is for one node on a small machine.
func Default() Config {
	return Config{Folder: "data", CacheBytes: 64 << 20, MemTableBytes: 16 << 20, ReserveBytes: 256 << 20, CheckBytes: 256 << 20}
}

// The ways in which opening a folder fails.
var (
	ErrInUse   = errors.New("the data folder is in use by another process")
	ErrFormat  = errors.New("the data folder was written by a newer release")
	ErrDamaged = errors.New("the data folder is damaged")
	ErrStrange = errors.New("the data folder is not a node's")
)

// formatVersion of the whole folder; higher ones are refused.
const formatVersion = 1

// stripes is how many partitions can be written at the same time. Far above what one disk takes.
const stripes = 4096

// Rows implements persistence.Rows.
type Rows struct {
	db     *pebble.DB
	fs     vfs.FS
	folder string
	cache  *pebble.Cache
	locks  [stripes]sync.RWMutex
	sync   *pebble.WriteOptions // of tables that are not caches
	space  space
	users  sync.RWMutex // held for reading while the database is used, for writing to close it
	closed atomic.Bool
}

var (
	_ persistence.Rows      = (*Rows)(nil)
	_ persistence.Scanner   = (*Rows)(nil)
	_ persistence.Compacter = (*Rows)(nil)
)

// Open opens the folder, or makes it. ctx bounds the look at what is there, not the store.
func Open(ctx context.Context, cfg Config) (*Rows, error) {
	if cfg.Folder == "" {
		return nil, errors.New("embedded: no data folder is named")
	}
	if err := os.MkdirAll(cfg.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("embedded: data folder: %w", err)
	}
	return openOn(ctx, cfg, vfs.Default)
}

func openOn(ctx context.Context, cfg Config, fs vfs.FS) (*Rows, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if err := fs.MkdirAll(cfg.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("embedded: data folder: %w", err)
	}
	if err := cfg.strange(files(fs, cfg.Folder)); err != nil {
		return nil, err
	}
	// Locked before Pebble looks at anything, so that this failure has a sentence of its own.
	lock, err := pebble.LockDirectory(cfg.Folder, fs)
	if err != nil {
		return nil, fmt.Errorf("embedded: %w: %s", ErrInUse, cfg.Folder)
	}
	if err := cfg.examine(ctx, fs, lock); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	cache := pebble.NewCache(cfg.CacheBytes)
	opts := &pebble.Options{
		Cache:              cache,
		FS:                 fs,
		Lock:               lock,
		Logger:             logger{cfg.Log},
		MemTableSize:       cfg.MemTableBytes,
		FormatMajorVersion: pebble.FormatNewest,
	}
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	db, err := pebble.Open(cfg.Folder, opts)
	if err != nil {
		cache.Unref()
		return nil, errors.Join(fmt.Errorf("embedded: open %s: %w", cfg.Folder, err), lock.Close())
	}
	r := &Rows{db: db, fs: fs, folder: cfg.Folder, cache: cache, sync: pebble.Sync}
	r.keepRoom(cfg, fs)
	if err := r.prepare(cfg, fs); err != nil {
		return nil, errors.Join(err, r.Close(), lock.Close())
	}
	if err := lock.Close(); err != nil { // the database holds it from here on
		return nil, errors.Join(fmt.Errorf("embedded: lock: %w", err), r.Close())
	}
	return r, nil
}

// prepare makes the folder one of this release.
func (r *Rows) prepare(cfg Config, fs vfs.FS) error {
	err := errors.Join(r.checkFormat(), cfg.noteFormats(fs))
	for _, name := range files(fs, cfg.Folder) {
		if strings.HasPrefix(name, backupPrefix) {
			err = errors.Join(err, fs.RemoveAll(fs.PathJoin(cfg.Folder, name))) // of a process that has died
		}
	}
	if err != nil || !cfg.DropCaches {
		return err
	}
	t := byte(persistence.TableSnapshot)
	if err := r.db.DeleteRange([]byte{t}, []byte{t + 1}, pebble.Sync); err != nil {
		return fmt.Errorf("embedded: drop snapshots: %w", err)
	}
	return nil
}

func (r *Rows) checkFormat() error {
	have, ok, err := r.GetMeta("format")
	if err != nil {
		return err
	}
	if !ok {
		return r.PutMeta("format", []byte{formatVersion})
	}
	if len(have) != 1 || have[0] > formatVersion {
		return fmt.Errorf("%w: format %v, this release knows %d", ErrFormat, have, formatVersion)
	}
	return nil
}

// Close syncs what is not synced yet and releases the folder. Calls after it answer ErrUnavailable.
func (r *Rows) Close() error {
	if r.closed.Swap(true) {
		return nil
	}
	r.users.Lock()
	defer r.users.Unlock()
	r.space.end()
	err := r.db.Close()
	r.cache.Unref()
	if err != nil {
		return fmt.Errorf("embedded: close: %w", err)
	}
	return nil
}

// use begins a use of the database, or says why there is none; end it with r.users.RUnlock.
func (r *Rows) use(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", persistence.ErrUnavailable, err)
	}
	return r.hold()
}

// keepRoom begins to look at the disk.
func (r *Rows) keepRoom(cfg Config, fs vfs.FS) {
	mib := func(n uint64) string { return fmt.Sprintf("%d MiB", n>>20) }
	r.space.fs, r.space.folder, r.space.reserve = fs, cfg.Folder, cfg.ReserveBytes
	r.space.tell = func(full bool, free uint64) {
		if full {
			cfg.Log.Error("the disk is nearly full: nothing is stored until there is room", "folder", cfg.Folder, "free", mib(free), "kept", mib(cfg.ReserveBytes))
			return
		}
		cfg.Log.Info("the disk has room again: everything is stored as before", "folder", cfg.Folder, "free", mib(free))
	}
	r.space.begin()
}

// write begins a write, or says why there can be none; end it with r.users.RUnlock.
func (r *Rows) write(ctx context.Context) error {
	if err := r.space.room(); err != nil {
		return err
	}
	return r.use(ctx)
}

// hold keeps the folder from being closed until users.RUnlock.
func (r *Rows) hold() error {
	r.users.RLock()
	if r.closed.Load() {
		r.users.RUnlock()
		return fmt.Errorf("%w: closed", persistence.ErrUnavailable)
	}
	return nil
}

const (
	metaTable = 0
	headMark  = 0
	rowMark   = 1
	endMark   = 2
)

func metaKey(name string) []byte { return append([]byte{metaTable}, name...) }

// PutMeta stores a small value beside the tables, synced: what belongs to the folder itself.
func (r *Rows) PutMeta(name string, value []byte) error {
	if err := r.space.room(); err != nil {
		return err
	}
	if err := r.hold(); err != nil {
		return err
	}
	defer r.users.RUnlock()
	if err := r.db.Set(metaKey(name), value, pebble.Sync); err != nil {
		return fmt.Errorf("embedded: meta %s: %w", name, err)
	}
	return nil
}

// GetMeta reads what PutMeta stored; false if nothing was.
func (r *Rows) GetMeta(name string) ([]byte, bool, error) {
	if err := r.hold(); err != nil {
		return nil, false, err
	}
	defer r.users.RUnlock()
	return r.get(metaKey(name))
}

func (r *Rows) get(key []byte) ([]byte, bool, error) {
	v, closer, err := r.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", persistence.ErrUnavailable, err)
	}
	v = append(make([]byte, 0, len(v)), v...)
	if err := closer.Close(); err != nil {
		return nil, false, fmt.Errorf("%w: %w", persistence.ErrUnavailable, err)
	}
	return v, true, nil
}

func appendPart(dst []byte, p persistence.Part, mark byte) []byte {
	dst = append(dst, byte(p.Table))
	dst = binary.AppendUvarint(dst, uint64(len(p.Key)))
	dst = append(dst, p.Key...)
	return append(dst, mark)
}

func rowKey(p persistence.Part, cluster string) []byte {
	return append(appendPart(make([]byte, 0, len(p.Key)+len(cluster)+8), p, rowMark), cluster...)
}

// bounds is From <= row < To as keys.
func bounds(p persistence.Part, from, to string) (lower, upper []byte) {
	lower = rowKey(p, from)
	if to == "" {
		return lower, appendPart(nil, p, endMark)
	}
	return lower, rowKey(p, to)
}

func encodeHead(h persistence.Head) []byte {
	b := binary.AppendUvarint(nil, h.Version)
	b = binary.AppendUvarint(b, uint64(len(h.AppendID)))
	b = append(b, h.AppendID...)
	return append(b, h.Home...)
}

func decodeHead(b []byte) (persistence.Head, error) {
	version, n := binary.Uvarint(b)
	if n <= 0 {
		return persistence.Head{}, fmt.Errorf("%w: head", persistence.ErrCorrupt)
	}
	size, m := binary.Uvarint(b[n:])
	if m <= 0 || size > uint64(len(b)-n-m) {
		return persistence.Head{}, fmt.Errorf("%w: head", persistence.ErrCorrupt)
	}
	rest := b[n+m:]
	return persistence.Head{Version: version, AppendID: string(rest[:size]), Home: string(rest[size:])}, nil
}

// logger passes on what matters. Pebble calls Fatalf when it cannot write its log: nothing after that can be
// promised, so the process ends and the next one recovers what was synced. A disk that fills up step by step does not
// come so far: see space.
type logger struct{ log *slog.Logger }

func (l logger) Infof(string, ...any) {}
func (l logger) Errorf(format string, args ...any) {
	l.log.Error("store: " + fmt.Sprintf(format, args...))
}
func (l logger) Fatalf(format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	l.log.Error("the store cannot go on and this process ends; what was acknowledged is stored, and found when it is started again", "why", why)
	panic("the store cannot go on: " + why)
}
