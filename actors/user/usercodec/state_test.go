package usercodec

import (
	"math/rand/v2"
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
