package embedded

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"paceline/domain/id"
	"paceline/persistence"
	"paceline/persistence/persistencetest"
)

func openAt(t testing.TB, folder string) *Rows {
	t.Helper()
	cfg := Default()
	cfg.Folder = folder
	r, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func openMem(t testing.TB, fs vfs.FS) *Rows {
	t.Helper()
	cfg := Default()
	r, err := openOn(t.Context(), cfg, fs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestEmbedded(t *testing.T) {
	persistencetest.Run(t, func(t testing.TB) persistence.Rows { return openAt(t, t.TempDir()) })
}

func event(v uint64, text string) persistence.Record {
	return persistence.Record{Version: v, Kind: 1, Format: 1, Payload: []byte(text)}
}

func TestReopen(t *testing.T) {
	ctx := context.Background()
	folder := t.TempDir()
	g := id.Of(id.Competition, "c")
	for i := uint64(0); i < 3; i++ {
		r := openAt(t, folder)
		s := persistence.Over(r)
		a := persistence.Append{Grain: g, Expected: i, AppendID: fmt.Sprint(i), Records: []persistence.Record{event(i+1, "x")}}
		if ok, head, err := s.Append(ctx, a); !ok || err != nil {
			t.Fatalf("append %d: %v, %+v, %v", i, ok, head, err)
		}
		if err := r.PutMeta("clock", []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		if err := s.PutCursor(ctx, g, "views", i); err != nil { // not synced, but Close does
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Head(ctx, g); !errors.Is(err, persistence.ErrUnavailable) {
			t.Fatalf("after Close: %v, want ErrUnavailable", err)
		}
	}
	r := openAt(t, folder)
	s := persistence.Over(r)
	if h, err := s.Head(ctx, g); err != nil || h.Version != 3 {
		t.Errorf("Head = %+v, %v", h, err)
	}
	if c, err := s.Cursor(ctx, g, "views"); err != nil || c != 2 {
		t.Errorf("Cursor = %d, %v", c, err)
	}
	if v, ok, err := r.GetMeta("clock"); err != nil || !ok || v[0] != 2 {
		t.Errorf("GetMeta = %v, %v, %v", v, ok, err)
	}
}

func TestSecondOpenIsRefusedInOneSentence(t *testing.T) {
	folder := t.TempDir()
	openAt(t, folder)
	cfg := Default()
	cfg.Folder = folder
	_, err := Open(t.Context(), cfg)
	if !errors.Is(err, ErrInUse) {
		t.Fatalf("second Open: %v, want ErrInUse", err)
	}
	if want := "embedded: the data folder is in use by another process: " + folder; err.Error() != want {
		t.Errorf("it says %q, want %q", err, want)
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	folder := t.TempDir()
	r := openAt(t, folder)
	if err := r.PutMeta("format", []byte{formatVersion + 1}); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.Folder = folder
	if _, err := Open(t.Context(), cfg); !errors.Is(err, ErrFormat) {
		t.Fatalf("Open: %v, want ErrFormat", err)
	}
	if _, err := Open(t.Context(), cfg); !errors.Is(err, ErrFormat) {
		t.Fatalf("Open again: %v: the lock was not released", err)
	}
}
