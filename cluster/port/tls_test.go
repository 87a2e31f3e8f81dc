package port

import (
	"bytes"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func certificates(t *testing.T, folder string, names ...string) map[string]Files {
	t.Helper()
	if err := Develop(folder, names, time.Now(), time.Hour); err != nil {
		t.Fatal(err)
	}
	all := map[string]Files{}
	for _, n := range names {
		all[n] = Files{Cert: filepath.Join(folder, n+".pem"), Key: filepath.Join(folder, n+".key"), CA: filepath.Join(folder, "ca.pem")}
	}
	return all
}

func load(t *testing.T, f Files) *Certificate {
	t.Helper()
	c, err := Load(f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// shake makes one connection; the error is either side's.
func shake(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			err = c.(*tls.Conn).Handshake()
			c.Close()
		}
		served <- err
	}()
	raw, err := net.DialTimeout("tcp", l.Addr().String(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	c := tls.Client(raw, client)
	err = c.Handshake()
	if err != nil {
		raw.Close()
	}
	if s := <-served; err == nil {
		err = s
	}
	return err
}

func TestMembersKnowEachOther(t *testing.T) {
	files := certificates(t, t.TempDir(), "a", "b")
	if err := shake(t, load(t, files["a"]).Server(), load(t, files["b"]).Client()); err != nil {
		t.Fatal(err)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	a := load(t, certificates(t, t.TempDir(), "a")["a"])
	other := load(t, certificates(t, t.TempDir(), "x")["x"]) // of another authority
	nameless := a.Client()
	nameless.GetClientCertificate = nil
	old := a.Client()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	trusting := other.Client()
	trusting.VerifyConnection = nil // a client that takes any server
	for name, pair := range map[string][2]*tls.Config{
		"a client of another authority": {a.Server(), trusting},
		"a server of another authority": {other.Server(), a.Client()},
		"no certificate":                {a.Server(), nameless},
		"TLS 1.2":                       {a.Server(), old},
	} {
		if err := shake(t, pair[0], pair[1]); err == nil {
			t.Errorf("%s was let in", name)
		}
	}
}

// TestACertificateIsRenewed: a new authority is taken without a restart.
func TestACertificateIsRenewed(t *testing.T) {
	folder, fresh := t.TempDir(), t.TempDir()
	a := load(t, certificates(t, folder, "a")["a"])
	b := load(t, certificates(t, fresh, "b")["b"])
	if shake(t, a.Server(), b.Client()) == nil {
		t.Fatal("another authority was let in")
	}
	for from, to := range map[string]string{"b.pem": "a.pem", "b.key": "a.key", "ca.pem": "ca.pem"} {
		data, err := os.ReadFile(filepath.Join(fresh, from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, to), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	later := time.Now().Add(time.Minute)
	for _, name := range []string{"a.pem", "a.key", "ca.pem"} {
		if err := os.Chtimes(filepath.Join(folder, name), later, later); err != nil {
			t.Fatal(err)
		}
	}
	a.looked = time.Time{}
	if err := shake(t, a.Server(), b.Client()); err != nil {
		t.Fatal(err)
	}
}

// TestACertificateThatCannotBeTakenIsToldOf: once for each change, counted at every look; the one from before serves on, and
// what is mended later is taken.
func TestACertificateThatCannotBeTakenIsToldOf(t *testing.T) {
	folder := t.TempDir()
	files := certificates(t, folder, "a", "b")
	a, b := load(t, files["a"]), load(t, files["b"])
	var said bytes.Buffer
	a.SayTo(slog.New(slog.NewTextHandler(&said, nil)))
	look := func() {
		t.Helper()
		a.looked = time.Time{}
		if err := shake(t, a.Server(), b.Client()); err != nil {
			t.Fatal(err)
		}
	}
	look()
	if said.Len() > 0 || a.Failed() != 0 {
		t.Fatalf("nothing has changed: %d failed, %q", a.Failed(), said.String())
	}
	good, err := os.ReadFile(files["a"].Key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text []byte, later time.Duration) {
		t.Helper()
		at := time.Now().Add(later)
		if err := errors.Join(os.WriteFile(files["a"].Key, text, 0o600), os.Chtimes(files["a"].Key, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	for i, tc := range []struct {
		text   []byte
		later  time.Duration
		warned int
	}{{[]byte("half"), time.Minute, 1}, {[]byte("half"), time.Minute, 1}, {[]byte("half of it"), 2 * time.Minute, 2}} {
		if i != 1 {
			write(tc.text, tc.later)
		}
		look()
		if warned := strings.Count(said.String(), "level=WARN"); warned != tc.warned || a.Failed() != int64(i+1) {
			t.Errorf("look %d: %d failed, told of %d times, want %d: %s", i+1, a.Failed(), warned, tc.warned, said.String())
		}
	}
	if !strings.Contains(said.String(), files["a"].Key) {
		t.Errorf("it is not said of which file: %s", said.String())
	}
	write(good, 3*time.Minute)
	look()
	if a.Failed() != 3 || !strings.Contains(said.String(), "level=INFO") {
		t.Errorf("mended: %d failed, %s", a.Failed(), said.String())
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	files := certificates(t, t.TempDir(), "a")["a"]
	other := certificates(t, t.TempDir(), "a")["a"]
	for name, f := range map[string]Files{
		"no such file":        {Cert: "nowhere.pem", Key: files.Key, CA: files.CA},
		"another's key":       {Cert: files.Cert, Key: other.Key, CA: files.CA},
		"another's authority": {Cert: files.Cert, Key: files.Key, CA: other.CA},
		"no certificate":      {Cert: files.Cert, Key: files.Key, CA: files.Key},
	} {
		if _, err := Load(f); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := Develop(filepath.Dir(files.Cert), []string{"a"}, time.Now(), time.Hour); err == nil {
		t.Error("a certificate was overwritten")
	}
}
