package devicecodec

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"paceline/actors/device"
	"paceline/domain/sample"
	"paceline/internal/testkit"
)

func TestState(t *testing.T) {
	golden := device.New()
	for i, e := range examples {
		if i != 2 { // a claim stays
			golden.Apply(e)
		}
	}
	testkit.Stored[device.State, device.Event]{
		Dir: "testdata", Format: StateFormat, Rewrite: *rewrite,
		New: device.New, Apply: (*device.State).Apply, Check: (*device.State).Check,
		EncodeState: EncodeState, DecodeState: DecodeState, Encode: Encode, Decode: Decode,
	}.Run(t, golden, randomEvents)
}

// randomEvents are events as no rule would allow them: Apply cannot refuse.
func randomEvents(r *rand.Rand) (all []device.Event) {
	fill := testkit.Filler{Rand: r, Of: map[reflect.Type]func(*rand.Rand) any{
		reflect.TypeFor[sample.ClockKind](): func(r *rand.Rand) any { return sample.ClockKind(r.IntN(4)) },
	}}
	for range r.IntN(60) {
		p := reflect.New(reflect.TypeOf(examples[r.IntN(len(examples))]))
		fill.Fill(p.Interface())
		all = append(all, p.Elem().Interface().(device.Event))
	}
	return all
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
