package embedded

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"paceline/persistence"
)

// filled makes a folder with tables, a log and a list of files that was appended to, and returns what is acknowledged.
func filled(t *testing.T, folder string) (acked []uint64) {
	t.Helper()
	r := openAt(t, folder)
	s := persistence.Over(r)
	acked = make([]uint64, 4)
	for round := range 6 {
		for range 30 {
			for w := range acked {
				acked[w]++
				if err := write(s, w, acked[w]); err != nil {
					t.Fatal(err)
				}
			}
		}
		if round < 5 {
			if err := r.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	copyFolder(t, folder, folder+".crashed") // as a crash leaves it
	return acked
}

func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	names, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		b, err := os.ReadFile(filepath.Join(from, n.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, n.Name()), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// bytesOf is a digest of a folder: every name, and every byte.
func bytesOf(t *testing.T, folder string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		fmt.Fprintf(h, "%s %d %x\n", strings.TrimPrefix(path, folder), len(b), sha256.Sum256(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func glob(t *testing.T, folder, pattern string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(folder, pattern))
	if err != nil || len(all) == 0 {
		t.Fatalf("no %s in %s (%v)", pattern, folder, err)
	}
	slices.Sort(all)
	return all
}

// last is the newest file of a kind.
func last(t *testing.T, folder, pattern string) string {
	t.Helper()
	all := glob(t, folder, pattern)
	return all[len(all)-1]
}

func change(t *testing.T, name string, f func(b []byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, f(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// written is how much of a log is chunks: the rest is room for more.
func written(b []byte, log uint32) int { return chunks(b, log, nil) }

func number(t *testing.T, name string) (n uint32) {
	t.Helper()
	if _, err := fmt.Sscanf(strings.TrimPrefix(filepath.Base(name), "MANIFEST-"), "%d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// flip changes one byte.
func flip(b []byte, at int) []byte { b[at] ^= 0x40; return b }

// TestDamage: whatever is broken is said in one sentence, and nothing is touched; an end that a crash has cut off is no
// damage.
func TestDamage(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "data")
	acked := filled(t, whole)
	for name, c := range map[string]struct {
		do   func(t *testing.T, folder string)
		says string // empty: it opens, and has everything acknowledged but what lies behind the cut
	}{
		"as a crash leaves it": {func(*testing.T, string) {}, ""},
		"a table": {func(t *testing.T, f string) {
			change(t, last(t, f, "*.sst"), func(b []byte) []byte { return flip(b, len(b)/3) })
		}, "checksum"},
		"a table cut off": {func(t *testing.T, f string) {
			change(t, last(t, f, "*.sst"), func(b []byte) []byte { return b[:len(b)/2] })
		}, "damaged"},
		"a table gone": {func(t *testing.T, f string) {
			if err := os.Remove(last(t, f, "*.sst")); err != nil {
				t.Fatal(err)
			}
		}, "does not exist"},
		"the middle of the log": {func(t *testing.T, f string) {
			n := last(t, f, "*.log")
			change(t, n, func(b []byte) []byte { return flip(b, written(b, number(t, n))/2) })
		}, "hole"},
		"zeros in the middle of the log": {func(t *testing.T, f string) {
			n := last(t, f, "*.log")
			change(t, n, func(b []byte) []byte { at := written(b, number(t, n)) / 3; clear(b[at : at+700]); return b })
		}, "hole"},
		"the log's torn tail": {func(t *testing.T, f string) {
			n := last(t, f, "*.log")
			change(t, n, func(b []byte) []byte { return b[:written(b, number(t, n))-5] })
		}, ""},
		"the middle of the list of files": {func(t *testing.T, f string) {
			change(t, last(t, f, "MANIFEST-*"), func(b []byte) []byte { return flip(b, len(b)/2) })
		}, "list of files"},
		"the beginning of the list of files": {func(t *testing.T, f string) {
			change(t, last(t, f, "MANIFEST-*"), func(b []byte) []byte { return flip(b, 9) })
		}, "list of files"},
		"the end of the list of files": {func(t *testing.T, f string) {
			change(t, last(t, f, "MANIFEST-*"), func(b []byte) []byte { return flip(b, len(b)-3) })
		}, ""}, // the log that the entry made needless is still there, and is read again
		"the list of files cut off": {func(t *testing.T, f string) {
			change(t, last(t, f, "MANIFEST-*"), func(b []byte) []byte { return b[:len(b)-20] })
		}, ""},
		"the list of files cut off, and the log gone that it then needs": {func(t *testing.T, f string) {
			newest := last(t, f, "*.log")
			for _, n := range glob(t, f, "*.log") {
				if n != newest {
					if err := os.Remove(n); err != nil {
						t.Fatal(err)
					}
				}
			}
			change(t, last(t, f, "MANIFEST-*"), func(b []byte) []byte { return b[:len(b)-20] })
		}, "is gone"},
		"no list of files": {func(t *testing.T, f string) {
			if err := os.Remove(last(t, f, "MANIFEST-*")); err != nil {
				t.Fatal(err)
			}
		}, "list of files"},
		"our own file": {func(t *testing.T, f string) {
			change(t, filepath.Join(f, formatFile), func([]byte) []byte { return []byte("{}") })
		}, formatFile},
	} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "data")
			copyFolder(t, whole+".crashed", folder)
			c.do(t, folder)
			before := bytesOf(t, folder)
			cfg := Default()
			cfg.Folder = folder
			r, err := Open(t.Context(), cfg)
			if c.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				if name != "the log's torn tail" {
					if n := checkAcknowledged(t, persistence.Over(r), acked); n > 0 {
						t.Errorf("%d acknowledged are missing", n)
					}
				} else if h, err := persistence.Over(r).Head(context.Background(), grainOf(0)); err != nil || h.Version+1 < acked[0] {
					t.Errorf("head %d (%v), want %d or one less", h.Version, err, acked[0])
				}
				return
			}
			if err == nil {
				_ = r.Close()
				t.Fatal("it was opened")
			}
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v", err)
			}
			t.Log(err)
			if bytesOf(t, folder) != before {
				t.Error("the folder was touched")
			}
		})
	}
}

// TestALogOfManyBlocks: blocks end with padding, wherever their last chunk ends.
func TestALogOfManyBlocks(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	r := openAt(t, folder)
	for n := range 3000 {
		if err := r.PutMeta(fmt.Sprint("m", n), make([]byte, n%977)); err != nil {
			t.Fatal(err)
		}
	}
	copyFolder(t, folder, folder+".crashed")
	name := last(t, folder+".crashed", "*.log")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if end := written(b, number(t, name)); end < 10*frameBlock {
		t.Fatalf("%d bytes of the log are chunks", end)
	}
	openAt(t, folder+".crashed")
}

// TestFormats: a folder with anything in a newer format is refused and not touched; without its caches it can be had.
func TestFormats(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	cfg := Default()
	cfg.Folder, cfg.Formats = folder, map[string]int{"snapshots of races": 2, "snapshots of users": 1}
	open := func() error {
		r, err := Open(t.Context(), cfg)
		if err != nil {
			return err
		}
		return r.Close()
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	before := bytesOf(t, folder)
	cfg.Formats = map[string]int{"snapshots of races": 1, "snapshots of users": 3}
	if err := open(); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "snapshots of races in format 2, this release knows 1") {
		t.Errorf("an older release: %v", err)
	}
	if bytesOf(t, folder) != before {
		t.Error("the folder was touched")
	}
	cfg.DropCaches = true
	if err := open(); err != nil {
		t.Errorf("without its caches: %v", err)
	}
	cfg.DropCaches = false
	if err := open(); err != nil {
		t.Errorf("once more: %v", err)
	}
	change(t, filepath.Join(folder, formatFile), func([]byte) []byte { return []byte(`{"format":2}`) })
	before = bytesOf(t, folder)
	if err := open(); !errors.Is(err, ErrFormat) {
		t.Errorf("a newer folder: %v", err)
	}
	if bytesOf(t, folder) != before {
		t.Error("the folder was touched")
	}
	if err := os.Rename(last(t, folder, "marker.format-version.*"), filepath.Join(folder, "marker.format-version.000099.099")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(folder, formatFile)); err != nil {
		t.Fatal(err)
	}
	before = bytesOf(t, folder)
	if err := open(); !errors.Is(err, ErrFormat) {
		t.Errorf("a newer Pebble: %v", err)
	}
	if bytesOf(t, folder) != before {
		t.Error("the folder was touched")
	}
}

// damagedFolder names, in a process that a test starts, the folder to read.
const damagedFolder = "PACELINE_TEST_DAMAGED"

// TestDamageMetLater: in a store too large to be read at the start damage is met when it is read or rewritten; the process
// then says so and ends: nothing is served that cannot be read.
func TestDamageMetLater(t *testing.T) {
	if folder := os.Getenv(damagedFolder); folder != "" {
		serveDamaged(t, folder)
		return
	}
	whole := filepath.Join(t.TempDir(), "data")
	filled(t, whole)
	folder := whole + ".crashed"
	change(t, last(t, folder, "*.sst"), func(b []byte) []byte { return flip(b, len(b)/3) })
	child := exec.Command(os.Args[0], "-test.run=^TestDamageMetLater$")
	child.Env = append(os.Environ(), damagedFolder+"="+folder)
	out, err := child.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the store cannot go on and this process ends") {
		t.Errorf("%v: %.2000s", err, out)
	}
}

func serveDamaged(t *testing.T, folder string) {
	cfg := Default()
	cfg.Folder, cfg.CheckBytes = folder, 0
	r, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for w := range 4 {
		if _, _, err := persistence.Over(r).ReadJournal(context.Background(), grainOf(w), 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("it serves")
}

// TestRaisedFormats: what was raised is noted at once and for good; a release that cannot read it refuses the folder
// untouched, also without its caches.
func TestRaisedFormats(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	cfg := Default()
	cfg.Folder, cfg.Formats, cfg.Raised = folder, map[string]int{"snapshots": 1}, map[string]int{"level": 3}
	noted := func() string {
		b, err := os.ReadFile(filepath.Join(folder, formatFile))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	r, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if s := noted(); strings.Contains(s, "level") {
		t.Errorf("noted before it was raised: %s", s)
	}
	for _, to := range []int{2, 1} {
		if err := r.Raise("level", to); err != nil {
			t.Fatal(err)
		}
		if want := `{"format":1,"formats":{"level":2,"snapshots":1}}`; noted() != want {
			t.Errorf("after %d: %s, want %s", to, noted(), want)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	before := bytesOf(t, folder)
	for _, drop := range []bool{false, true} {
		older := cfg
		older.DropCaches, older.Raised = drop, map[string]int{"level": 1}
		if _, err := Open(t.Context(), older); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "level 2, this release reads up to 1") {
			t.Errorf("a release that reads less, dropping caches %v: %v", drop, err)
		}
		if bytesOf(t, folder) != before {
			t.Error("the folder was touched")
		}
	}
	cfg.DropCaches = true
	if r, err = Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if s := noted(); !strings.Contains(s, `"level":2`) {
		t.Errorf("forgotten with the caches: %s", s)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedStoresAreNotKept: a store above CheckBytes is opened without reading its tables; a backup of it, and what is
// made of one, are read whole all the same.
func TestDamagedStoresAreNotKept(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	filled(t, folder)
	cfg := Default()
	cfg.Folder, cfg.CheckBytes = folder+".crashed", 1
	damage := func(folder string) {
		change(t, glob(t, folder, "*.sst")[0], func(b []byte) []byte { return flip(b, len(b)/4) })
	}
	refused := func(what string, err error, w *bytes.Buffer) {
		t.Helper()
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "checksum") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", what, err)
		}
		if w.Len() > 0 {
			t.Errorf("%s: %d bytes were written", what, w.Len())
		}
	}
	var good, none bytes.Buffer
	if _, err := writeBackup(t.Context(), vfs.Default, folder+".crashed", &good, 1); err != nil {
		t.Fatal(err)
	}
	whole := good.Bytes()

	damage(cfg.Folder)
	_, err := BackupFolder(t.Context(), cfg, &none, 1)
	refused("backup --offline", err, &none)

	var bad bytes.Buffer // its digests are right: it was damaged before it was made
	if _, err := writeBackup(t.Context(), vfs.Default, cfg.Folder, &bad, 1); err != nil {
		t.Fatal(err)
	}
	restored := cfg
	restored.Folder = filepath.Join(t.TempDir(), "restored")
	_, err = Restore(t.Context(), restored, &bad)
	refused("restore", err, &none)
	if left, _ := os.ReadDir(filepath.Dir(restored.Folder)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}

	if _, err := Restore(t.Context(), restored, bytes.NewReader(whole)); err != nil {
		t.Errorf("a good backup: %v", err)
	}
}

// TestBackupOfADamagedStoreThatServes: what the disk has lost since the start is found before a byte is sent.
func TestBackupOfADamagedStoreThatServes(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	r := openAt(t, folder)
	for n := range uint64(30) {
		if err := write(persistence.Over(r), 0, n+1); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.db.Flush(); err != nil {
		t.Fatal(err)
	}
	var good, none bytes.Buffer
	if _, err := r.Backup(t.Context(), &good, 1); err != nil {
		t.Fatal(err)
	}
	change(t, last(t, folder, "*.sst"), func(b []byte) []byte { return flip(b, len(b)/4) })
	if _, err := r.Backup(t.Context(), &none, 1); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "checksum") || none.Len() > 0 {
		t.Errorf("backup: %v, %d bytes were sent", err, none.Len())
	}
	if left, _ := filepath.Glob(filepath.Join(folder, backupPrefix+"*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
