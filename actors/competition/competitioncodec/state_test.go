package competitioncodec_test

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	"paceline/actors/leaderboard"
	"paceline/domain/basis"
	"paceline/domain/course"
	"paceline/internal/testkit"
)

func TestState(t *testing.T) {
	all := samples(t)
	golden := competition.New()
	for _, e := range all {
		if _, over := e.(competition.Cancelled); !over {
			golden.Apply(e)
		}
	}
	// Some events undo others: every field of an entry is to be there.
	var full competition.Entry
	fill := filler(rand.New(rand.NewPCG(1, 1)))
	fill.Full = true
	fill.Fill(&full)
	full.Number, full.User, full.Input.Entry = 18, "u2", 18
	golden, err := competition.Restore(golden, append(golden.Entries(), &full))
	if err != nil {
		t.Fatal(err)
	}
	golden.Publishing = &competition.Publication{}
	fill.Fill(golden.Publishing)
	golden.Publishing.Rows[0].Entry, golden.Publishing.Inputs[0].Entry = 17, 17
	golden.Publishing.Rows, golden.Publishing.Inputs = golden.Publishing.Rows[:1], golden.Publishing.Inputs[:1]
	golden.Publishing.Inputs[0].Gates = golden.Publishing.Rows[0].Gates
	golden.Settle = competition.Settle{Number: 2, Final: true, Why: "late", Open: true, Begun: 9}
	if golden, err = competition.Restore(golden, golden.Entries()); err != nil {
		t.Fatal(err)
	}
	testkit.Stored[competition.State, competition.Event]{
		Dir: "testdata", Format: competitioncodec.StateFormat, Rewrite: *rewrite, Except: []any{course.Course{}, course.Track{}},
		New: competition.New, Apply: (*competition.State).Apply, Check: (*competition.State).Check,
		EncodeState: competitioncodec.EncodeState, DecodeState: competitioncodec.DecodeState,
		Encode: competitioncodec.Encode, Decode: competitioncodec.Decode,
	}.Run(t, golden, func(r *rand.Rand) []competition.Event { return randomEvents(r, all) })
}

func filler(r *rand.Rand) *testkit.Filler {
	fill := &testkit.Filler{Rand: r, Of: map[reflect.Type]func(*rand.Rand) any{}}
	fill.Of[reflect.TypeFor[basis.Basis]()] = func(*rand.Rand) any {
		all := []basis.StreamBasis{{}}
		fill.Fill(&all)
		if fill.Full && len(all) == 0 {
			all = []basis.StreamBasis{{Device: "u1/d", Stream: "s"}}
		}
		return basis.Of(all...)
	}
	fill.Of[reflect.TypeFor[leaderboard.Status]()] = func(r *rand.Rand) any { return leaderboard.Status(1 + r.IntN(5)) }
	fill.Of[reflect.TypeFor[course.Track]()] = func(r *rand.Rand) any {
		return course.Track{Format: course.Distance, Sport: "run", Name: "x", DistanceMm: 400_000}
	}
	return fill
}

// randomEvents are events as no rule would allow them, Apply cannot refuse; only a race is created first, and each
// number and person is entered once.
func randomEvents(r *rand.Rand, kinds []competition.Event) []competition.Event {
	fill := filler(r)
	all := []competition.Event{kinds[1]}
	entered := uint32(0)
	for range r.IntN(80) {
		p := reflect.New(reflect.TypeOf(kinds[r.IntN(len(kinds))]))
		fill.Fill(p.Interface())
		switch e := p.Interface().(type) {
		case *competition.EntryAdded:
			entered++
			e.Entry, e.User = entered, fmt.Sprint("u", entered)
		case *competition.ResultPublished: // the gates of an input are those of its row
			e.Rows, e.Inputs = oneEach(fill, e.Rows)
		case *competition.ResultPart:
			e.Rows, e.Inputs = oneEach(fill, e.Rows)
			for i := range e.Rows { // an entry is in one part
				e.Rows[i].Entry += uint32(1000 * len(all))
				e.Inputs[i].Entry = e.Rows[i].Entry
			}
			if r.IntN(2) == 0 {
				e.Part, e.Version, e.JournalVersion = 1+e.Part%2, 1, 1
			}
		}
		all = append(all, p.Elem().Interface().(competition.Event))
	}
	return all
}

// oneEach are rows of which each entry has one, and an input with the same gates for each.
func oneEach(fill *testkit.Filler, rows []competition.Row) (out []competition.Row, inputs []competition.Input) {
	seen := map[uint32]bool{}
	for _, row := range rows {
		if !seen[row.Entry] {
			seen[row.Entry] = true
			out = append(out, row)
			in := competition.Input{}
			fill.Fill(&in)
			in.Entry, in.Gates = row.Entry, row.Gates
			inputs = append(inputs, in)
		}
	}
	return out, inputs
}

// FuzzDecodeState: no bytes make it panic, and what it reads it writes so that it is read the same way again.
func FuzzDecodeState(f *testing.F) {
	hexed, err := os.ReadFile(filepath.Join("testdata", fmt.Sprintf("state-%d.hex", competitioncodec.StateFormat)))
	if err != nil {
		f.Fatal(err)
	}
	golden, err := hex.DecodeString(strings.TrimSpace(string(hexed)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := competitioncodec.DecodeState(b)
		if err != nil {
			return
		}
		again, err := competitioncodec.EncodeState(s)
		if err != nil {
			return // text that is not UTF-8
		}
		s2, err := competitioncodec.DecodeState(again)
		if err != nil {
			t.Fatal(err)
		}
		if d := testkit.Differ(s, s2); d != "" {
			t.Errorf("it comes back with another %s", d)
		}
	})
}
