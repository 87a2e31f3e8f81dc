package usercodec

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paceline/actors/user"
	"paceline/internal/testkit"
)

func TestState(t *testing.T) {
	golden := user.New()
	for _, e := range examples {
		golden.Apply(e)
	}
	golden.Profile = examples[0].(user.Registered).Profile // every field set
	testkit.Stored[user.State, user.Event]{
		Dir: "testdata", Format: StateFormat, Rewrite: *rewrite,
		New: user.New, Apply: (*user.State).Apply, Check: (*user.State).Check,
		EncodeState: EncodeState, DecodeState: DecodeState, Encode: Encode, Decode: Decode,
	}.Run(t, golden, func(r *rand.Rand) (all []user.Event) {
		fill := testkit.Filler{Rand: r}
		for range r.IntN(20) {
			var p user.Profile
			fill.Fill(&p)
			var c user.Reacted
			fill.Fill(&c)
			all = append(all, []user.Event{user.Registered{Profile: p}, user.ProfileChanged{Profile: p}, user.Fenced{}, c}[r.IntN(4)])
		}
		return all
	})
}

// FuzzDecodeState: no bytes make it panic, and what it reads it writes so that it is read the same way again.
func FuzzDecodeState(f *testing.F) {
	hexed, err := os.ReadFile(filepath.Join("testdata", fmt.Sprintf("state-%d.hex", StateFormat)))
	if err != nil {
		f.Fatal(err)
	}
	golden, err := hex.DecodeString(strings.TrimSpace(string(hexed)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeState(b)
		if err != nil {
			return
		}
		again, err := EncodeState(s)
		if err != nil {
			return // text that is not UTF-8
		}
		s2, err := DecodeState(again)
		if err != nil {
			t.Fatal(err)
		}
		if d := testkit.Differ(s, s2); d != "" {
			t.Errorf("it comes back with another %s", d)
		}
	})
}
