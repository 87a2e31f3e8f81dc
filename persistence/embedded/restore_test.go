package embedded

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestRestoredStaysAfterACrash: when restore has returned, the folder, those above it that it has made, and every file in
// it are there also if the machine loses its power at once.
func TestRestoredStaysAfterACrash(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	filled(t, folder)
	var backup bytes.Buffer
	if _, err := writeBackup(t.Context(), vfs.Default, folder+".crashed", &backup, 1); err != nil {
		t.Fatal(err)
	}
	fs := vfs.NewCrashableMem()
	cfg := Default()
	cfg.Folder = "/not/yet/there/data"
	m, err := restoreOn(t.Context(), cfg, fs, &backup)
	if err != nil {
		t.Fatal(err)
	}
	after := fs.CrashClone(vfs.CrashCloneCfg{})
	left := files(after, cfg.Folder)
	for _, f := range m.Files {
		if !slices.Contains(left, f.Name) {
			t.Errorf("%s is gone after a crash", f.Name)
		}
	}
	if err := examineRestored(t.Context(), cfg, after, cfg.Folder); err != nil {
		t.Errorf("after a crash: %v", err)
	}
}

// noLinks is a disk that gives no file a second name.
type noLinks struct{ vfs.FS }

func (noLinks) Link(string, string) error { return errors.ErrUnsupported }

// TestTakeName: a backup has its name for good, and takes it from nobody.
func TestTakeName(t *testing.T) {
	put := func(fs vfs.FS, name, text string) {
		t.Helper()
		if err := putSynced(fs, name, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	for name, on := range map[string]func(vfs.FS) vfs.FS{
		"links": func(fs vfs.FS) vfs.FS { return fs }, "no links": func(fs vfs.FS) vfs.FS { return noLinks{fs} },
	} {
		mem := vfs.NewCrashableMem()
		fs := on(mem)
		put(fs, "/a.part", "whole")
		if err := takeName(fs, "/a.part", "/a"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		after := mem.CrashClone(vfs.CrashCloneCfg{})
		if b, err := readFile(after, "/a"); err != nil || string(b) != "whole" {
			t.Errorf("%s: after a crash %q, %v", name, b, err)
		}
		if all := files(fs, "/"); !slices.Equal(all, []string{"a"}) {
			t.Errorf("%s: there are %v", name, all)
		}
		put(fs, "/b.part", "mine")
		put(fs, "/b", "somebody else's") // it came meanwhile
		if err := takeName(fs, "/b.part", "/b"); err == nil {
			t.Errorf("%s: another's file was replaced", name)
		}
		if b, err := readFile(fs, "/b"); err != nil || string(b) != "somebody else's" {
			t.Errorf("%s: the other's file holds %q, %v", name, b, err)
		}
	}
}
