package devicecodec

import (
	"math/rand/v2"
	"reflect"
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
