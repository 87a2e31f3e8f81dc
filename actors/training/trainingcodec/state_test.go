package trainingcodec

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"paceline/actors/training"
	"paceline/domain/basis"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/internal/testkit"
)

func distance() course.Track {
	return course.Track{Format: course.Distance, Sport: geo.Run, Name: "track", DistanceMm: 5_000_000, Gates: []geo.Gate{
		{ID: "half", Kind: geo.SplitGate, AtMm: 2_500_000}, {ID: "finish", Kind: geo.FinishGate, AtMm: 5_000_000}}}
}

func TestState(t *testing.T) {
	golden := training.New()
	for i, e := range examples {
		switch e.(type) {
		case training.Unbound, training.Resumed, training.Revised, training.FlagCleared: // what they take away is to be stored
			continue
		case training.Passed:
			e = training.Passed{Gate: 1, At: 1718463604000123, Binding: 9}
		}
		golden.Apply(examples[i])
		golden.Apply(e)
	}
	golden.Unbound = append(golden.Unbound, training.Unbound{Competition: "c0", Version: 4})
	testkit.Stored[training.State, training.Event]{
		Dir: "testdata", Format: StateFormat, Rewrite: *rewrite, Except: []any{course.Course{}, course.Track{}},
		New: training.New, Apply: (*training.State).Apply, Check: (*training.State).Check,
		EncodeState: EncodeState, Encode: Encode, Decode: Decode,
		DecodeState: func(b []byte) (*training.State, error) { return DecodeState(b, course.New) },
	}.Run(t, golden, randomEvents)
}

// randomEvents are events as no rule would allow them: Apply cannot refuse.
func randomEvents(r *rand.Rand) (all []training.Event) {
	fill := testkit.Filler{Rand: r, Of: map[reflect.Type]func(*rand.Rand) any{}}
	fill.Of[reflect.TypeFor[course.Track]()] = func(r *rand.Rand) any {
		return []course.Track{line(), distance(), {Name: "no course"}}[r.IntN(3)]
	}
	fill.Of[reflect.TypeFor[[sample.Channels]bool]()] = func(r *rand.Rand) any {
		return [sample.Channels]bool{sample.HeartRateBpm: r.IntN(2) == 0, sample.DistanceMm: r.IntN(2) == 0}
	}
	fill.Of[reflect.TypeFor[[sample.Channels]sample.Trust]()] = func(r *rand.Rand) any { return [sample.Channels]sample.Trust{} }
	fill.Of[reflect.TypeFor[basis.Basis]()] = func(r *rand.Rand) any {
		var all []basis.StreamBasis
		fill.Fill(&all)
		return basis.Of(all...)
	}
	for range r.IntN(60) {
		p := reflect.New(reflect.TypeOf(examples[r.IntN(len(examples))]))
		fill.Fill(p.Interface())
		if b, ok := p.Interface().(*training.Bound); ok && r.IntN(4) > 0 {
			b.Track = line()
		}
		all = append(all, p.Elem().Interface().(training.Event))
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
		s, err := DecodeState(b, course.New)
		if err != nil {
			return
		}
		again, err := EncodeState(s)
		if err != nil {
			return // text that is not UTF-8
		}
		s2, err := DecodeState(again, course.New)
		if err != nil {
			t.Fatal(err)
		}
		if d := testkit.Differ(s, s2); d != "" {
			t.Errorf("it comes back with another %s", d)
		}
	})
}
