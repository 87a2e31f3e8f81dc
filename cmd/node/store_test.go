package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// everything lists the files below a folder, with their bytes.
func everything(t *testing.T, folder string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return all
}

// TestLostKeys: without its keys a folder is refused in one sentence, nobody makes fresh ones in their place, and it
// opens again when they are back.
func TestLostKeys(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	keys, away := data+".keys", filepath.Join(dir, "away")
	s := serve(t, "--data-dir", data)
	if code := s.stop(); code != 0 {
		t.Fatal(s.out)
	}
	if err := os.Rename(keys, away); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"run", "--listen", "127.0.0.1:0"}, {"export", "x", "--offline", "-o", filepath.Join(dir, "b.zip")}} {
		code, _, err := paceline(t, append(args, "--data-dir", data)...)
		if code == 0 || !strings.Contains(err, "wrapping.key is not there, and this data was sealed with one: put it back") {
			t.Errorf("%s: %d, %q", args[0], code, err)
		}
		if made := everything(t, keys); len(made) != 0 {
			t.Errorf("%s made %v", args[0], made)
		}
	}
	if err := os.Rename(away, keys); err != nil {
		t.Fatal(err)
	}
	if again := serve(t, "--data-dir", data); again.stop() != 0 {
		t.Error(again.out)
	}
}
