package port

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestAChangeDuringTheFirstReadIsSeen: the certificate is renewed after Load has read it, and before Load is done. The
// authority is a pipe here, so Load waits in the middle.
func TestAChangeDuringTheFirstReadIsSeen(t *testing.T) {
	folder := t.TempDir()
	files := certificates(t, folder, "a", "b")
	a, b := files["a"], files["b"]
	next := load(t, b).cert.Certificate[0]
	authority, err := os.ReadFile(a.CA)
	if err != nil {
		t.Fatal(err)
	}
	a.CA = filepath.Join(folder, "pipe")
	if err := syscall.Mkfifo(a.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	changed := make(chan error, 1)
	go func() {
		pipe, err := os.OpenFile(a.CA, os.O_WRONLY, 0) // waits until Load reads it
		if err != nil {
			changed <- err
			return
		}
		later := time.Now().Add(time.Minute)
		err = errors.Join(os.Remove(a.CA), os.WriteFile(a.CA, authority, 0o600), os.Rename(b.Cert, a.Cert), os.Rename(b.Key, a.Key),
			os.Chtimes(a.Cert, later, later), os.Chtimes(a.Key, later, later))
		_, wrote := pipe.Write(authority)
		changed <- errors.Join(err, wrote, pipe.Close())
	}()
	c := load(t, a)
	if err := <-changed; err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(c.cert.Certificate[0], next) {
		t.Fatal("Load has read the new one: this test tests nothing")
	}
	c.looked = time.Time{}
	if cert, _ := c.newest(); !bytes.Equal(cert.Certificate[0], next) {
		t.Error("the certificate from before is used for ever")
	}
}
