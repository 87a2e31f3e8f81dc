package embedded

import (
	"archive/tar"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"paceline/domain/unit"
	"paceline/persistence"
)

// A backup is a tar: first a mark with the format, then the folder's files, last the manifest, which names every file
// with its digest. One without its manifest is not whole.
const (
	backupFormat   = 1
	backupMark     = "paceline-backup"
	backupManifest = "manifest.json"
	// backupPrefix names folders in which a backup under way lies; what a crash left is removed at the next start.
	backupPrefix = "backup-"
	// maxManifest bounds what is read at once: a hundred thousand files.
	maxManifest = 16 << 20
)

// Manifest is what a backup holds.
type Manifest struct {
	Format int            `json:"format"`
	MadeAt unit.InstantMs `json:"made_at_ms"` // wall clock; everything that was acknowledged before is in it
	Files  []BackupFile   `json:"files"`
}

// BackupFile is one file of a backup.
type BackupFile struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Bytes is how much there is in all.
func (m *Manifest) Bytes() (sum int64) {
	for _, f := range m.Files {
		sum += f.Bytes
	}
	return sum
}

// Backup writes what the store holds at this moment while it goes on serving. Its files are held by a second name until
// they are written, which takes no room unless they are replaced meanwhile. Before, all of it is read.
func (r *Rows) Backup(ctx context.Context, w io.Writer, at unit.InstantMs) (*Manifest, error) {
	folder := r.fs.PathJoin(r.folder, backupPrefix+rand.Text())
	if err := r.checkpoint(ctx, folder); err != nil {
		return nil, errors.Join(err, r.fs.RemoveAll(folder))
	}
	m, err := r.readable(ctx, folder, w, at)
	if err = errors.Join(err, r.fs.RemoveAll(folder)); err != nil {
		return nil, err
	}
	return m, nil
}

// readable writes a checkpoint if all of it can be read: not through the cache, which may hold what the disk has lost.
func (r *Rows) readable(ctx context.Context, folder string, w io.Writer, at unit.InstantMs) (*Manifest, error) {
	lock, err := pebble.LockDirectory(folder, r.fs)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	err = Config{Folder: folder}.whole().readOnly(ctx, r.fs, lock, files(r.fs, folder))
	if err = errors.Join(err, lock.Close()); err != nil {
		return nil, err
	}
	return writeBackup(ctx, r.fs, folder, w, at)
}

func (r *Rows) checkpoint(ctx context.Context, folder string) error {
	if err := r.use(ctx); err != nil {
		return err
	}
	defer r.users.RUnlock()
	if err := r.db.Checkpoint(folder, pebble.WithFlushedWAL()); err != nil {
		return fmt.Errorf("%w: backup: %w", persistence.ErrUnavailable, err)
	}
	b, err := readFile(r.fs, r.fs.PathJoin(r.folder, formatFile))
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return replaceFile(r.fs, folder, r.fs.PathJoin(folder, formatFile), b)
}

// BackupFolder writes a folder that no process holds, if all of it can be read.
func BackupFolder(ctx context.Context, cfg Config, w io.Writer, at unit.InstantMs) (*Manifest, error) {
	fs := vfs.Default
	if len(files(fs, cfg.Folder)) == 0 {
		return nil, fmt.Errorf("there is nothing in %s", cfg.Folder)
	}
	lock, err := pebble.LockDirectory(cfg.Folder, fs)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrInUse, cfg.Folder)
	}
	var m *Manifest
	if err = cfg.whole().examine(ctx, fs, lock); err == nil {
		m, err = writeBackup(ctx, fs, cfg.Folder, w, at)
	}
	if err = errors.Join(err, lock.Close()); err != nil {
		return nil, err
	}
	return m, nil
}

func writeBackup(ctx context.Context, fs vfs.FS, folder string, w io.Writer, at unit.InstantMs) (*Manifest, error) {
	m := &Manifest{Format: backupFormat, MadeAt: at}
	t := tar.NewWriter(w)
	err := putText(t, backupMark, fmt.Appendf(nil, `{"format":%d}`, backupFormat), at)
	for _, name := range files(fs, folder) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			break
		}
		if name == "LOCK" || strings.HasPrefix(name, backupPrefix) || strings.HasSuffix(name, ".new") {
			continue
		}
		var one BackupFile
		if one, err = putFile(t, fs, folder, name, at); err == nil {
			m.Files = append(m.Files, one)
		}
	}
	if err == nil {
		var b []byte
		if b, err = json.MarshalIndent(m, "", " "); err == nil {
			err = putText(t, backupManifest, b, at)
		}
	}
	if err = errors.Join(err, t.Close()); err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return m, nil
}

func header(name string, size int64, at unit.InstantMs) *tar.Header {
	return &tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: at.Time().Truncate(time.Second), Format: tar.FormatPAX}
}

func putText(t *tar.Writer, name string, b []byte, at unit.InstantMs) error {
	if err := t.WriteHeader(header(name, int64(len(b)), at)); err != nil {
		return err
	}
	_, err := t.Write(b)
	return err
}

func putFile(t *tar.Writer, fs vfs.FS, folder, name string, at unit.InstantMs) (one BackupFile, err error) {
	f, err := fs.Open(fs.PathJoin(folder, name))
	if err != nil {
		return one, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return one, err
	}
	if err := t.WriteHeader(header(name, info.Size(), at)); err != nil {
		return one, err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(t, h), f)
	return BackupFile{Name: name, Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil))}, err
}

// What is wrong with a backup, or with the place where it is to go.
var (
	ErrNoBackup      = errors.New("this is no backup of paceline")
	ErrBackupNewer   = errors.New("this backup was made by a newer release")
	ErrBackupCut     = errors.New("this backup is not whole: it ends before its manifest")
	ErrBackupDamaged = errors.New("this backup is damaged")
	ErrNotEmpty      = errors.New("there is something in the target folder already")
)

var fileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// ReadBackup reads a backup through and compares it with its manifest. put takes each file; nil: they are only read.
func ReadBackup(r io.Reader, put func(name string, content io.Reader) error) (*Manifest, error) {
	t := tar.NewReader(r)
	head, err := t.Next()
	if err != nil || head.Name != backupMark || head.Size > 1024 {
		return nil, ErrNoBackup
	}
	var mark struct {
		Format int `json:"format"`
	}
	if b, err := io.ReadAll(t); err != nil || json.Unmarshal(b, &mark) != nil || mark.Format < 1 {
		return nil, ErrNoBackup
	}
	if mark.Format > backupFormat {
		return nil, fmt.Errorf("%w: format %d, this one knows %d", ErrBackupNewer, mark.Format, backupFormat)
	}
	var found []BackupFile
	for {
		head, err := t.Next()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil, ErrBackupCut
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrBackupDamaged, err)
		case head.Name == backupManifest:
			return compare(t, found)
		case head.Typeflag != tar.TypeReg || !fileName.MatchString(head.Name) || slices.ContainsFunc(found, func(f BackupFile) bool { return f.Name == head.Name }):
			return nil, fmt.Errorf("%w: a file named %.60q", ErrBackupDamaged, head.Name)
		}
		h := &counted{hash: sha256.New()}
		content := io.TeeReader(t, h)
		if put != nil {
			err = put(head.Name, content)
		}
		if err == nil {
			_, err = io.Copy(io.Discard, content)
		}
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			return nil, ErrBackupCut
		case err != nil:
			return nil, err
		}
		found = append(found, BackupFile{head.Name, h.n, hex.EncodeToString(h.hash.Sum(nil))})
	}
}

type counted struct {
	hash hash.Hash
	n    int64
}

func (c *counted) Write(b []byte) (int, error) { c.n += int64(len(b)); return c.hash.Write(b) }

// compare reads the manifest and holds it against what was read.
func compare(t *tar.Reader, found []BackupFile) (*Manifest, error) {
	b, err := io.ReadAll(io.LimitReader(t, maxManifest))
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, ErrBackupCut
	}
	m := &Manifest{}
	if err != nil || json.Unmarshal(b, m) != nil || m.Format != backupFormat {
		return nil, fmt.Errorf("%w: its manifest cannot be read", ErrBackupDamaged)
	}
	for i, want := range m.Files {
		switch {
		case i >= len(found) || found[i].Name != want.Name:
			return nil, fmt.Errorf("%w: %s is not there", ErrBackupDamaged, want.Name)
		case found[i] != want:
			return nil, fmt.Errorf("%w: %s is not what it was", ErrBackupDamaged, want.Name)
		}
	}
	if len(found) > len(m.Files) {
		return nil, fmt.Errorf("%w: %s is not in its manifest", ErrBackupDamaged, found[len(m.Files)].Name)
	}
	if _, err := t.Next(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows its manifest", ErrBackupDamaged)
	}
	return m, nil
}
