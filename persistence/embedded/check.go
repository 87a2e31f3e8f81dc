package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// formatFile says, beside Pebble's own files, what the folder was written with: it can be read before anything is
// touched.
const formatFile = "paceline.json"

// stored is the content of formatFile.
type stored struct {
	Format  int            `json:"format"`            // of the folder
	Formats map[string]int `json:"formats,omitempty"` // of what lies in it, by name; the highest that was ever written
}

// files are the names in the folder; none if there is no folder.
func files(fs vfs.FS, folder string) []string {
	names, err := fs.List(folder)
	if err != nil {
		return nil
	}
	slices.Sort(names)
	return names
}

func readFile(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

// examine finds what is wrong with a folder before anything in it is changed.
func (cfg Config) examine(ctx context.Context, fs vfs.FS, lock *pebble.Lock) error {
	names := files(fs, cfg.Folder)
	if err := cfg.checkFormats(fs, names); err != nil {
		return err
	}
	if !slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "MANIFEST-") }) {
		if slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, ".sst") || strings.HasSuffix(n, ".log") }) {
			return cfg.damaged("its list of files (MANIFEST) is not there")
		}
		return nil // nothing is stored yet
	}
	if err := cfg.checkFrames(fs, names); err != nil {
		return err
	}
	return cfg.readOnly(ctx, fs, lock, names)
}

// whole is the same folder, to be examined however large it is: a backup, and what was made of one, must not hold what
// nobody can read.
func (cfg Config) whole() Config {
	cfg.CheckBytes = math.MaxInt64
	return cfg
}

// ours reports whether a file of this name says that a node has been here.
func ours(n string) bool {
	return n == formatFile || strings.HasPrefix(n, "MANIFEST-") || strings.HasSuffix(n, ".sst") || strings.HasSuffix(n, ".log")
}

// strange refuses a folder of somebody else, as of a typing error, before even the lock is put into it: a node's many
// files are not to lie among his. What a first start leaves that was interrupted is a node's.
func (cfg Config) strange(names []string) error {
	if slices.ContainsFunc(names, ours) {
		return nil
	}
	for _, n := range names {
		begun := slices.ContainsFunc([]string{"LOCK", "lost+found", "marker.", "OPTIONS-", "temporary.", backupPrefix},
			func(prefix string) bool { return strings.HasPrefix(n, prefix) })
		if !begun {
			return fmt.Errorf("%w: %s holds %s (name an empty folder)", ErrStrange, cfg.Folder, n)
		}
	}
	return nil
}

func (cfg Config) damaged(format string, args ...any) error {
	what, _, _ := strings.Cut(fmt.Sprintf(format, args...), "\n")
	return fmt.Errorf("%w: %s: %s (nothing was changed; what can be had is in a backup: paceline restore)", ErrDamaged, cfg.Folder, what)
}

func (cfg Config) checkFormats(fs vfs.FS, names []string) error {
	if !slices.Contains(names, formatFile) {
		return nil
	}
	b, err := readFile(fs, fs.PathJoin(cfg.Folder, formatFile))
	if err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	var have stored
	if json.Unmarshal(b, &have) != nil || have.Format == 0 {
		return cfg.damaged("%s is not what it was", formatFile)
	}
	if have.Format > formatVersion {
		return fmt.Errorf("%w: %s: folder in format %d, this release knows %d (start the newer release)", ErrFormat, cfg.Folder, have.Format, formatVersion)
	}
	for _, name := range slices.Sorted(maps.Keys(have.Formats)) {
		if known, raised := cfg.Raised[name]; raised {
			if have.Formats[name] > known {
				return fmt.Errorf("%w: %s: %s %d, this release reads up to %d (start the newer release)", ErrFormat, cfg.Folder, name, have.Formats[name], known)
			}
			continue
		}
		if known := cfg.Formats[name]; have.Formats[name] > known && !cfg.DropCaches && len(cfg.Formats) > 0 {
			return fmt.Errorf("%w: %s: %s in format %d, this release knows %d (start the newer release; or do without them, once, with --drop-snapshots)",
				ErrFormat, cfg.Folder, name, have.Formats[name], known)
		}
	}
	return nil
}

// noteFormats says what the folder may hold from now on, before any of it is written.
func (cfg Config) noteFormats(fs vfs.FS) error {
	want := stored{Format: formatVersion, Formats: maps.Clone(cfg.Formats)}
	name := fs.PathJoin(cfg.Folder, formatFile)
	had, err := readFile(fs, name)
	if err == nil {
		var have stored
		if json.Unmarshal(had, &have) == nil {
			for k, v := range have.Formats {
				if _, raised := cfg.Raised[k]; raised || !cfg.DropCaches || len(cfg.Formats) == 0 {
					want.note(k, v)
				}
			}
		}
	}
	return want.replace(fs, cfg.Folder, name, had)
}

func (s *stored) note(name string, format int) {
	if s.Formats == nil {
		s.Formats = make(map[string]int)
	}
	s.Formats[name] = max(s.Formats[name], format)
}

// replace writes the file if it says something else.
func (s *stored) replace(fs vfs.FS, folder, name string, had []byte) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if b = append(b, '\n'); bytes.Equal(b, had) {
		return nil
	}
	return replaceFile(fs, folder, name, b)
}

// Raise says that the folder may hold one of Config.Raised's formats from now on, before any of it is written: a release
// that cannot read it refuses the folder. It is synced when Raise returns, and never goes back.
func (r *Rows) Raise(name string, format int) error {
	if err := r.hold(); err != nil {
		return err
	}
	defer r.users.RUnlock()
	path := r.fs.PathJoin(r.folder, formatFile)
	had, err := readFile(r.fs, path)
	if err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	var s stored
	if json.Unmarshal(had, &s) != nil || s.Format == 0 {
		return fmt.Errorf("embedded: %s is not what it was", path)
	}
	s.note(name, format)
	return s.replace(r.fs, r.folder, path, had)
}

// replaceFile leaves the old content or the new one, whatever happens.
func replaceFile(fs vfs.FS, folder, name string, b []byte) error {
	f, err := fs.Create(name+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = fs.Rename(name+".new", name)
	}
	if err == nil {
		err = syncFolder(fs, folder)
	}
	if err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	return nil
}

// checkFrames looks for holes in the newest list of files and in the logs.
func (cfg Config) checkFrames(fs vfs.FS, names []string) error {
	var newest string
	logs := map[uint64]bool{}
	for _, n := range names {
		if rest, ok := strings.CutPrefix(n, "MANIFEST-"); ok && (newest == "" || rest > strings.TrimPrefix(newest, "MANIFEST-")) {
			newest = n
		}
		number, err := strconv.ParseUint(strings.TrimSuffix(n, ".log"), 10, 32)
		if !strings.HasSuffix(n, ".log") || err != nil {
			continue
		}
		logs[number] = true
		b, err := readFile(fs, fs.PathJoin(cfg.Folder, n))
		if err != nil {
			return fmt.Errorf("embedded: %w", err)
		}
		if at, damaged := hole(b, uint32(number)); damaged {
			return cfg.damaged("the log %s has a hole at byte %d, before what was synced", n, at)
		}
	}
	b, err := readFile(fs, fs.PathJoin(cfg.Folder, newest))
	if err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	if at, damaged := hole(b, 0); damaged {
		return cfg.damaged("the list of files %s has a hole at byte %d", newest, at)
	}
	// The last entry may be cut off by a crash; then the log that it would have made needless is still there.
	if log, cut := firstLog(b); cut && !logs[log] {
		return cfg.damaged("the list of files %s ends with what cannot be read, and the log %06d that it then needs is gone", newest, log)
	}
	return nil
}

// readOnly opens the folder without changing it and reads the tables whole, if they are not too large.
func (cfg Config) readOnly(ctx context.Context, fs vfs.FS, lock *pebble.Lock, names []string) error {
	cache := pebble.NewCache(8 << 20)
	defer cache.Unref()
	db, err := pebble.Open(cfg.Folder, &pebble.Options{Cache: cache, FS: fs, Lock: lock, ReadOnly: true, Logger: silent{},
		EventListener: &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}}})
	if err != nil {
		if strings.Contains(err.Error(), "format major version") {
			return fmt.Errorf("%w: %s: %w", ErrFormat, cfg.Folder, err)
		}
		return cfg.damaged("%v", err)
	}
	size := int64(0)
	for _, n := range names {
		if strings.HasSuffix(n, ".sst") || strings.HasSuffix(n, ".blob") {
			if info, err := fs.Stat(fs.PathJoin(cfg.Folder, n)); err == nil {
				size += info.Size()
			}
		}
	}
	if size <= cfg.CheckBytes {
		err = readAll(ctx, db)
	}
	err = errors.Join(err, db.Close())
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return cfg.damaged("%v", err)
	}
	return nil
}

// silent says nothing: what goes wrong while a folder is examined is returned.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	panic("store cannot be examined: " + fmt.Sprintf(format, args...))
}

// readAll reads every row, so that every block's checksum is looked at.
func readAll(ctx context.Context, db *pebble.DB) error {
	it, err := db.NewIterWithContext(ctx, nil)
	if err != nil {
		return err
	}
	for ok := it.First(); ok && ctx.Err() == nil; ok = it.Next() {
		if _, err := it.ValueAndErr(); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return it.Close()
}
