package embedded

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FuzzFrames: no bytes make the look at a log or a list of files panic, and only what follows a hole makes it one.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{}, uint32(0))
	f.Add(bytes.Repeat([]byte{0, 0, 0, 0, 40, 0, 9, 1, 0, 0, 0, 5}, 50), uint32(1))
	f.Fuzz(func(t *testing.T, b []byte, log uint32) {
		end := chunks(b, log, nil)
		at, damaged := hole(b, log)
		if at != end || damaged && at == len(b) {
			t.Errorf("a hole at %d of %d, read are %d", at, len(b), end)
		}
		firstLog(b)
	})
}

// FuzzReadBackup: no bytes make it panic, and none but a backup's own are taken for one.
func FuzzReadBackup(f *testing.F) {
	folder := f.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "000001.sst"), []byte("content"), 0o600); err != nil {
		f.Fatal(err)
	}
	var whole bytes.Buffer
	if _, err := writeBackup(f.Context(), vfs.Default, folder, &whole, 1_718_460_000_000); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		var got []byte
		m, err := ReadBackup(bytes.NewReader(b), func(_ string, r io.Reader) (err error) { got, err = io.ReadAll(r); return err })
		if err == nil && len(m.Files) == 1 && m.Files[0].Bytes != int64(len(got)) {
			t.Errorf("%d bytes came, %+v", len(got), m.Files)
		}
	})
}
