package testkit

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// Golden compares with what a file holds, or writes it: never anew for a format that was released.
func Golden(t testing.TB, file, got string, rewrite bool) {
	t.Helper()
	if rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s has\n%s\nand now it is\n%s", file, want, got)
	}
}

// Stored is a state's stored form under test.
type Stored[S, E any] struct {
	Dir     string // of golden files
	Format  int
	Rewrite bool
	Except  []any // for Shape

	New         func() *S
	Apply       func(*S, E)
	Check       func(*S) error
	EncodeState func(*S) ([]byte, error)
	DecodeState func([]byte) (*S, error)
	Encode      func(E) (kind, format uint32, payload []byte, err error)
	Decode      func(kind, format uint32, payload []byte) (E, error)
}

// Run tests the form: no field is forgotten (the shape), its bytes are what they were, other formats are refused, and a
// state from a snapshot and the events behind it is the state of all events, for many random histories.
func (x Stored[S, E]) Run(t *testing.T, golden *S, history func(r *rand.Rand) []E) {
	t.Run("shape", func(t *testing.T) {
		Golden(t, filepath.Join(x.Dir, fmt.Sprintf("state-%d.shape", x.Format)), Shape(golden, x.Except...), x.Rewrite)
		if t.Failed() {
			t.Log("the state holds something else than it did: store it (the proto, EncodeState, DecodeState), raise StateFormat, and write the files anew")
		}
	})
	t.Run("golden", func(t *testing.T) {
		b := x.encode(t, golden)
		Golden(t, filepath.Join(x.Dir, fmt.Sprintf("state-%d.hex", x.Format)), hex.EncodeToString(b)+"\n", x.Rewrite)
		x.same(t, golden, b)
	})
	t.Run("refused", func(t *testing.T) {
		b := x.encode(t, golden)
		for _, bad := range [][]byte{nil, append([]byte{byte(x.Format + 1)}, b[1:]...), append([]byte{0}, b[1:]...), b[:len(b)-1]} {
			if _, err := x.DecodeState(bad); err == nil {
				t.Errorf("read %d bytes beginning with %.4x", len(bad), bad)
			}
		}
	})
	t.Run("snapshot and tail", func(t *testing.T) {
		for seed := range uint64(1000) {
			r := rand.New(rand.NewPCG(seed, 7))
			x.resume(t, r, history(r))
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	})
}

// resume compares at the end and on the way: what is read from a snapshot is no more shared with what wrote it.
func (x Stored[S, E]) resume(t *testing.T, r *rand.Rand, events []E) {
	whole, resumed := x.New(), x.New()
	for i, e := range events {
		kind, format, payload, err := x.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []*S{whole, resumed} {
			read, err := x.Decode(kind, format, payload)
			if err != nil {
				t.Fatal(err)
			}
			x.Apply(s, read)
		}
		if r.IntN(8) == 0 || i == len(events)-1 {
			b := x.encode(t, resumed)
			x.same(t, whole, b)
			if resumed, err = x.DecodeState(b); err != nil {
				t.Fatalf("after %d events: %v", i+1, err)
			}
		}
	}
	if err := x.Check(resumed); err != nil && x.Check(whole) == nil {
		t.Errorf("what was resumed is broken: %v", err)
	}
}

func (x Stored[S, E]) encode(t *testing.T, s *S) []byte {
	t.Helper()
	b, err := x.EncodeState(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (x Stored[S, E]) same(t *testing.T, want *S, b []byte) {
	t.Helper()
	got, err := x.DecodeState(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := Differ(want, got); d != "" {
		t.Errorf("what was stored differs: %s", d)
	}
	if !bytes.Equal(x.encode(t, got), b) {
		t.Error("stored again it has other bytes")
	}
}
