package device

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/domain/unit"
)

const noon = unit.InstantMs(1_718_452_800_000)

func by(who string) step.Meta { return step.Meta{At: noon, By: who} }

var watch = Registered{Owner: "u1", Name: "Watch"}

var heartAndPower = []ChannelSpec{{sample.HeartRateBpm, sample.Measured}, {sample.PowerW, sample.Estimated}}

// open is what u1 says to open s1.
func open() OpenStream {
	return OpenStream{Meta: by("athlete:u1"), Stream: "s1", Workout: "w1", Clock: sample.GNSS, Channels: heartAndPower,
		DeviceTime: noon, NodeTime: noon}
}

func openWith(change func(c *OpenStream)) OpenStream {
	c := open()
	change(&c)
	return c
}

func streamOpened() StreamOpened {
	return StreamOpened{Stream: "s1", Training: "u1/w1", Person: "u1", WindowFrom: noon - 7*86_400_000, WindowTo: noon + 2*86_400_000,
		LimitsVersion: 1, Clock: sample.GNSS, Channels: heartAndPower}
}

// streamOf is the same stream of a sport.
func streamOf(sport string) StreamOpened {
	e := streamOpened()
	e.Sport = sport
	return e
}

// freeOpened is the same stream with a clock that drifts.
func freeOpened() StreamOpened {
	e := streamOpened()
	e.Clock = sample.Free
	return e
}

func TestDecide(t *testing.T) {
	running := []Event{watch, streamOpened()}
	free := []Event{watch, freeOpened()}
	floor := StreamRecorded{Stream: "s1", Through: 50, Digest: [32]byte{1}, Recording: [32]byte{2}}
	tests := []struct {
		name  string
		given []Event
		when  Command
		want  []Event
		err   error
	}{
		{"register", nil, Register{by(""), "u1/d1", watch}, []Event{watch}, nil},
		{"register a shared machine", nil, Register{by(""), "m1/m1", Registered{}}, []Event{Registered{}}, nil},
		{"register again", []Event{watch}, Register{by(""), "u1/d1", watch}, nil, nil},
		{"register otherwise", []Event{watch}, Register{by(""), "u1/d1", Registered{Owner: "u1"}}, nil, ErrRegistered},
		{"register under another's affinity", nil, Register{by(""), "u2/d1", watch}, nil, ErrAffinity},
		{"register a shared one under an affinity", nil, Register{by(""), "u1/d1", Registered{}}, nil, ErrAffinity},
		{"register without affinity", nil, Register{by(""), "d1", watch}, nil, id.ErrMalformed},
		{"register a long name", nil, Register{by(""), "u1/d1", Registered{Owner: "u1", Name: strings.Repeat("x", 121)}}, nil, ErrText},

		{"claim before registering", nil, Claim{by("athlete:u1"), "u1", 0}, nil, ErrNotRegistered},
		{"the owner lends it", []Event{watch}, Claim{by("athlete:u1"), "u2", 0}, []Event{Claimed{"u2", 0}}, nil},
		{"another takes it", []Event{watch}, Claim{by("athlete:u2"), "u2", 0}, nil, ErrNotYours},
		{"a shared one is taken", []Event{Registered{}}, Claim{by("athlete:u2"), "u2", noon + 1}, []Event{Claimed{"u2", noon + 1}}, nil},
		{"a shared one for somebody else", []Event{Registered{}}, Claim{by("athlete:u2"), "u3", 0}, nil, ErrNotYours},
		{"claimed by another", []Event{Registered{}, Claimed{"u2", 0}}, Claim{by("athlete:u3"), "u3", 0}, nil, ErrClaimed},
		{"another's claim has ended", []Event{Registered{}, Claimed{"u2", noon}}, Claim{by("athlete:u3"), "u3", noon + 5}, []Event{Claimed{"u3", noon + 5}}, nil},
		{"claim again", []Event{Registered{}, Claimed{"u2", noon + 1}}, Claim{by("athlete:u2"), "u2", noon + 1}, nil, nil},
		{"claim one's own again", []Event{watch, Claimed{"u1", 0}}, Claim{by("athlete:u1"), "u1", 0}, nil, nil},
		{"a shared one without an end", []Event{Registered{}}, Claim{by("athlete:u2"), "u2", 0}, []Event{Claimed{"u2", noon.Add(12 * unit.Hour)}}, nil},
		{"a shared one without an end, by an operator", []Event{Registered{}}, Claim{by("operator:gym"), "u2", 0}, []Event{Claimed{"u2", noon.Add(12 * unit.Hour)}}, nil},
		{"a shared one again, which had no end", []Event{Registered{}, Claimed{"u2", 0}}, Claim{by("athlete:u2"), "u2", 0}, []Event{Claimed{"u2", noon.Add(12 * unit.Hour)}}, nil},
		{"claim into the past", []Event{watch}, Claim{by("athlete:u1"), "u2", noon}, nil, ErrClaimOver},
		{"claim for nobody", []Event{watch}, Claim{by("athlete:u1"), "", 0}, nil, id.ErrMalformed},
		{"release", []Event{watch, Claimed{"u2", 0}}, Release{by("athlete:u2")}, []Event{Released{"u2"}}, nil},
		{"release by the owner", []Event{watch, Claimed{"u2", 0}}, Release{by("athlete:u1")}, []Event{Released{"u2"}}, nil},
		{"release by an operator", []Event{Registered{}, Claimed{"u2", 0}}, Release{by("operator:gym")}, []Event{Released{"u2"}}, nil},
		{"release of what nobody has", []Event{Registered{}}, Release{by("athlete:u3")}, nil, nil},
		{"release by another", []Event{watch, Claimed{"u2", 0}}, Release{by("athlete:u3")}, nil, ErrNotYours},
		{"release nothing", []Event{watch}, Release{by("athlete:u1")}, nil, nil},
		{"release nobody's", nil, Release{by("athlete:u1")}, nil, ErrNotRegistered},

		{"open", []Event{watch}, open(), []Event{streamOpened()}, nil},
		{"open, channels in another order", []Event{watch}, openWith(func(c *OpenStream) {
			c.Channels = []ChannelSpec{heartAndPower[1], heartAndPower[0]}
		}), []Event{streamOpened()}, nil},
		{"open a device that is not registered", nil, open(), nil, ErrNotRegistered},
		{"open again", running, open(), nil, nil},
		{"open again with another clock", running, openWith(func(c *OpenStream) { c.Clock = sample.NTP }), nil, ErrDiffers},
		{"open with a sport", []Event{watch}, openWith(func(c *OpenStream) { c.Sport = "run" }), []Event{streamOf("run")}, nil},
		{"open with a sport that nobody knows", []Event{watch}, openWith(func(c *OpenStream) { c.Sport = "running" }), nil, ErrSport},
		{"open again with the same sport", []Event{watch, streamOf("run")}, openWith(func(c *OpenStream) { c.Sport = "run" }), nil, nil},
		{"open again without a word of the sport", []Event{watch, streamOf("run")}, open(), nil, nil},
		{"open again with another sport", []Event{watch, streamOf("run")}, openWith(func(c *OpenStream) { c.Sport = "ride" }), nil, ErrDiffers},
		{"open again with a sport where none was named", running, openWith(func(c *OpenStream) { c.Sport = "run" }), nil, ErrDiffers},
		{"open again for another workout", running, openWith(func(c *OpenStream) { c.Workout = "w2" }), nil, ErrDiffers},
		{"open again with fewer channels", running, openWith(func(c *OpenStream) { c.Channels = heartAndPower[:1] }), nil, ErrDiffers},
		{"open for somebody who has no claim", []Event{watch}, openWith(func(c *OpenStream) { c.Person = "u2"; c.By = "device:u1/d1" }), nil, ErrNotYours},
		{"open for oneself on another's", []Event{watch}, openWith(func(c *OpenStream) { c.Person = "u2"; c.By = "athlete:u2" }), nil, ErrNotYours},
		{"open for a claim that has ended", []Event{watch, Claimed{"u2", noon}}, openWith(func(c *OpenStream) { c.Person = "u2" }), nil, ErrNotYours},
		{"open by a thief", []Event{watch}, openWith(func(c *OpenStream) { c.By = "athlete:u9" }), nil, ErrNotYours},
		{"open a shared machine for nobody", []Event{Registered{}}, openWith(func(c *OpenStream) { c.By = "device:m1/m1" }), nil, ErrNotYours},
		{"open without channels", []Event{watch}, openWith(func(c *OpenStream) { c.Channels = nil }), nil, ErrChannels},
		{"open with a channel twice", []Event{watch}, openWith(func(c *OpenStream) {
			c.Channels = []ChannelSpec{heartAndPower[0], heartAndPower[0]}
		}), nil, ErrChannels},
		{"open with a channel that is none", []Event{watch}, openWith(func(c *OpenStream) { c.Channels = []ChannelSpec{{99, 1}} }), nil, ErrChannels},
		{"open with the largest clock", []Event{watch}, openWith(func(c *OpenStream) { c.DeviceTime = 1<<63 - 1 }), nil, ErrDeviceTime},
		{"open in 1969", []Event{watch}, openWith(func(c *OpenStream) { c.DeviceTime = -1 }), nil, ErrDeviceTime},
		{"open a stream without a name", []Event{watch}, openWith(func(c *OpenStream) { c.Stream = "" }), nil, id.ErrMalformed},
		{"open a workout with a slash", []Event{watch}, openWith(func(c *OpenStream) { c.Workout = "a/b" }), nil, id.ErrMalformed},
		{"open with a clock an hour off", []Event{watch}, openWith(func(c *OpenStream) { c.Clock = sample.Free; c.NodeTime = noon + 3_600_000 }),
			[]Event{freeOpened(), ClockSet{"s1", 1, 3_600_000, 1000, "open"}}, nil},
		{"open with a clock three seconds off", []Event{watch}, openWith(func(c *OpenStream) { c.Clock = sample.Free; c.NodeTime = noon + 3000 }),
			[]Event{freeOpened()}, nil},

		{"clock before the first sample", free, SetClock{by(""), "s1", 0, 40, 10, "ping"}, []Event{ClockSet{"s1", 1, 40, 10, "ping"}}, nil},
		{"clock that is right", free, SetClock{by(""), "s1", 0, 0, 10, "ping"}, nil, nil},
		{"clock of a receiver of satellites", running, SetClock{by(""), "s1", 0, 9000, 10, "ping"}, nil, nil},
		{"clock 250 ms away", append(free, ClockSet{"s1", 1, 40, 10, "ping"}), SetClock{by(""), "s1", 7, 290, 10, "ping"}, nil, nil},
		{"clock 251 ms away", append(free, ClockSet{"s1", 1, 40, 10, "ping"}), SetClock{by(""), "s1", 7, 291, 10, "ping"},
			[]Event{ClockSet{"s1", 8, 291, 10, "ping"}}, nil},
		{"clock three errors away", append(free, ClockSet{"s1", 1, 40, 10, "ping"}), SetClock{by(""), "s1", 7, 340, 100, "ping"}, nil, nil},
		{"clock more than three errors away", append(free, ClockSet{"s1", 1, 40, 10, "ping"}), SetClock{by(""), "s1", 7, -261, 100, "ping"},
			[]Event{ClockSet{"s1", 8, -261, 100, "ping"}}, nil},
		{"a measurement replaces the first guess", append(free, ClockSet{"s1", 1, 40, 1000, "open"}), SetClock{by(""), "s1", 0, 60, 10, "ping"},
			[]Event{ClockSet{"s1", 1, 60, 10, "ping"}}, nil},
		{"clock a day off", free, SetClock{by(""), "s1", 0, 86_400_001, 10, "ping"}, nil, ErrClock},
		{"clock of no stream", free, SetClock{by(""), "s2", 0, 0, 10, "ping"}, nil, ErrUnknownStream},

		{"skip", running, Skip{by(""), "s1", Span{11, 20}, 10, nil, "flash"}, []Event{Skipped{"s1", []Span{{11, 20}}, "flash"}}, nil},
		{"skip what is handled", running, Skip{by(""), "s1", Span{5, 10}, 10, nil, ""}, nil, nil},
		{"skip what is recorded", append(running, floor), Skip{by(""), "s1", Span{40, 60}, 10, nil, ""}, []Event{Skipped{"s1", []Span{{51, 60}}, ""}}, nil},
		{"skip around what rows hold", running, Skip{by(""), "s1", Span{5, 20}, 8, []Span{{9, 11}, {13, 13}, {19, 25}}, ""},
			[]Event{Skipped{"s1", []Span{{12, 12}, {14, 18}}, ""}}, nil},
		{"skip again", append(running, Skipped{"s1", []Span{{11, 20}}, ""}), Skip{by(""), "s1", Span{11, 22}, 10, nil, ""},
			[]Event{Skipped{"s1", []Span{{21, 22}}, ""}}, nil},
		{"skip backwards", running, Skip{by(""), "s1", Span{20, 11}, 10, nil, ""}, nil, ErrSeq},
		{"skip zero", running, Skip{by(""), "s1", Span{0, 11}, 10, nil, ""}, nil, ErrSeq},
		{"skip for ever", running, Skip{by(""), "s1", Span{11, 1 << 60}, 10, nil, ""}, nil, ErrSkipFar},
		{"skip far ahead", running, Skip{by(""), "s1", Span{1_000_012, 1_000_013}, 10, nil, ""}, nil, ErrSkipFar},
		{"skip beyond the end", append(running, StreamClosed{"s1", 15}), Skip{by(""), "s1", Span{11, 20}, 10, nil, ""}, nil, ErrClosed},
		{"skip of no stream", running, Skip{by(""), "s2", Span{11, 20}, 10, nil, ""}, nil, ErrUnknownStream},

		{"close", running, CloseStream{by(""), "s1", 20, 10}, []Event{StreamClosed{"s1", 20}}, nil},
		{"close again", append(running, StreamClosed{"s1", 20}), CloseStream{by(""), "s1", 20, 10}, nil, nil},
		{"close elsewhere", append(running, StreamClosed{"s1", 20}), CloseStream{by(""), "s1", 21, 10}, nil, ErrClosed},
		{"close below what is stored", running, CloseStream{by(""), "s1", 9, 10}, nil, ErrCloseBelow},
		{"close below the floor", append(running, floor), CloseStream{by(""), "s1", 49, 10}, nil, ErrCloseBelow},
		{"close of no stream", nil, CloseStream{by(""), "s1", 9, 10}, nil, ErrUnknownStream},

		{"record", running, Record{by(""), "u1/w1", "s1", 50, [32]byte{1}, [32]byte{2}, nil}, []Event{floor}, nil},
		{"record again", append(running, floor), Record{by(""), "u1/w1", "s1", 50, [32]byte{1}, [32]byte{2}, nil}, nil, nil},
		{"record less", append(running, floor), Record{by(""), "u1/w1", "s1", 40, [32]byte{3}, [32]byte{4}, nil}, nil, nil},
		{"record the same in another", append(running, floor), Record{by(""), "u1/w1", "s1", 50, [32]byte{1}, [32]byte{4}, nil},
			[]Event{StreamRecorded{"s1", 50, [32]byte{1}, [32]byte{4}}}, nil},
		{"record other samples at the floor", append(running, floor), Record{by(""), "u1/w1", "s1", 50, [32]byte{3}, [32]byte{4}, nil}, nil, ErrRecording},
		{"record without a skip", append(running, Skipped{"s1", []Span{{11, 20}}, ""}), Record{by(""), "u1/w1", "s1", 50, [32]byte{1}, [32]byte{2}, nil}, nil, ErrRecording},
		{"record with a skip that is none", running, Record{by(""), "u1/w1", "s1", 50, [32]byte{1}, [32]byte{2}, []Span{{3, 3}}}, nil, ErrRecording},
		{"record with the skips, cut otherwise", append(running, Skipped{"s1", []Span{{11, 20}}, ""}, Skipped{"s1", []Span{{45, 60}}, ""}),
			Record{by(""), "u1/w1", "s1", 50, [32]byte{1}, [32]byte{2}, []Span{{11, 15}, {16, 20}, {45, 50}}}, []Event{floor}, nil},
		{"record for another training", running, Record{by(""), "u9/w9", "s1", 50, [32]byte{1}, [32]byte{2}, nil}, nil, ErrUnknownStream},
		{"record nothing", running, Record{by(""), "u1/w1", "s1", 0, [32]byte{1}, [32]byte{2}, nil}, nil, ErrSeq},
	}
	for _, tt := range tests {
		s := replay(tt.given)
		got, err := Decide(s, tt.when)
		if !errors.Is(err, tt.err) || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: Decide = %+v, %v, want %+v, %v", tt.name, got, err, tt.want, tt.err)
		}
		if !reflect.DeepEqual(s, replay(tt.given)) {
			t.Errorf("%s: Decide changed the state", tt.name)
		}
	}
}

func replay(events []Event) *State {
	s := New()
	for _, e := range events {
		s.Apply(e)
	}
	return s
}

func TestDecideTooManyStreams(t *testing.T) {
	s := replay([]Event{watch})
	for i := range maxUnrecorded {
		e := streamOpened()
		e.Stream = "x" + string(rune('0'+i/100)) + string(rune('0'+i/10%10)) + string(rune('0'+i%10))
		s.Apply(e)
	}
	if _, err := Decide(s, open()); !errors.Is(err, ErrTooMany) {
		t.Fatalf("Decide = %v, want %v", err, ErrTooMany)
	}
	s.Apply(StreamRecorded{Stream: "x000", Through: 1})
	if _, err := Decide(s, open()); err != nil {
		t.Fatalf("Decide = %v behind a recording", err)
	}
}

func TestUnknownLimitsAreNotServed(t *testing.T) {
	e := streamOpened()
	e.LimitsVersion = LimitsVersion + 1
	if _, err := Decide(replay([]Event{watch, e}), open()); !errors.Is(err, ErrLimits) || !fault.Of(err).Retry {
		t.Errorf("Decide = %v, want %v", err, ErrLimits)
	}
}

// TestClaimsOfBeforeReplayAsTheyWere: journals of shared machines hold claims without an end. They hold until they are
// released.
func TestClaimsOfBeforeReplayAsTheyWere(t *testing.T) {
	s := replay([]Event{Registered{Name: "Mill"}, Claimed{"u2", 0}})
	later := noon.Add(1000 * unit.Day)
	if !s.Rider("u2", later) {
		t.Error("the claim has ended by itself")
	}
	if _, err := Decide(s, Claim{step.Meta{At: later, By: "athlete:u3"}, "u3", 0}); !errors.Is(err, ErrClaimed) {
		t.Errorf("claimed by another: %v, want %v", err, ErrClaimed)
	}
	events, err := Decide(s, Release{step.Meta{At: later, By: "operator:gym"}})
	if err != nil || len(events) != 1 {
		t.Fatalf("release = %v, %v", events, err)
	}
	s.Apply(events[0])
	if _, err := Decide(s, Claim{step.Meta{At: later, By: "athlete:u3"}, "u3", 0}); err != nil {
		t.Errorf("claimed after the release: %v", err)
	}
}

func TestClaimEndsOpeningButNotDelivering(t *testing.T) {
	s := replay([]Event{watch, Claimed{"u2", noon + 1000}})
	c := openWith(func(c *OpenStream) { c.Person, c.By = "u2", "athlete:u2" })
	events, err := Decide(s, c)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		s.Apply(e)
	}
	s.Apply(Released{"u2"})
	if _, err := Decide(s, c); err != nil {
		t.Errorf("what is left cannot be delivered: %v", err)
	}
	c.Stream = "s2"
	if _, err := Decide(s, c); !errors.Is(err, ErrNotYours) {
		t.Errorf("a new stream without a claim: %v", err)
	}
}

// drawCommand makes a command that has a fair chance to be accepted.
func drawCommand(t *rapid.T, s *State) Command {
	m := step.Meta{At: noon + unit.InstantMs(rapid.IntRange(0, 5000).Draw(t, "at")),
		By: rapid.SampledFrom([]string{"athlete:u1", "athlete:u2", "device:u1/d1", "operator:o"}).Draw(t, "by")}
	person := rapid.SampledFrom([]string{"u1", "u2", ""}).Draw(t, "person")
	stream := rapid.SampledFrom([]string{"s1", "s2"}).Draw(t, "stream")
	seq := func(name string) uint64 { return uint64(rapid.IntRange(0, 60).Draw(t, name)) }
	switch rapid.IntRange(0, 8).Draw(t, "command") {
	case 0:
		return Register{m, "u1/d1", watch}
	case 1:
		return Claim{m, person, unit.InstantMs(rapid.SampledFrom([]int64{0, int64(noon) + 2000}).Draw(t, "until"))}
	case 2:
		return Release{m}
	case 3:
		return OpenStream{Meta: m, Stream: stream, Workout: "w1", Person: person, Clock: sample.Free, Channels: heartAndPower,
			DeviceTime: noon, NodeTime: noon + unit.InstantMs(rapid.IntRange(-9000, 9000).Draw(t, "off"))}
	case 4:
		return SetClock{m, stream, seq("through"), unit.DurationMs(rapid.IntRange(-2000, 2000).Draw(t, "offset")),
			unit.DurationMs(rapid.IntRange(0, 300).Draw(t, "error")), "ping"}
	case 5:
		var held []Span
		for at := uint64(1); rapid.Bool().Draw(t, "held"); {
			from := at + uint64(rapid.IntRange(0, 9).Draw(t, "from"))
			to := from + uint64(rapid.IntRange(0, 9).Draw(t, "length"))
			held, at = append(held, Span{from, to}), to+1
		}
		return Skip{m, stream, Span{seq("from"), seq("to")}, seq("through"), held, "lost"}
	case 6:
		return CloseStream{m, stream, seq("last"), seq("through")}
	default:
		c := Record{m, "u1/w1", stream, seq("through"), [32]byte{byte(seq("digest"))}, [32]byte{}, nil}
		if f := s.Streams[stream]; f != nil {
			c.Skips = f.Skips
		}
		return c
	}
}

// Whatever is asked: the state stays whole, replaying gives it again, a skip takes nothing that was held, and
// the facts of each stream, projected alone, are those of the state.
func TestAnyCommands(t *testing.T) { rapid.Check(t, anyCommands) }

func FuzzCommands(f *testing.F) { f.Fuzz(rapid.MakeFuzz(anyCommands)) }

func anyCommands(t *rapid.T) {
	s := New()
	var journal []Event
	for range rapid.IntRange(1, 60).Draw(t, "commands") {
		c := drawCommand(t, s)
		events, err := Decide(s, c)
		if !reflect.DeepEqual(s, replay(journal)) {
			t.Fatalf("Decide(%+v) changed the state", c)
		}
		if err != nil && len(events) > 0 {
			t.Fatalf("events and %v", err)
		}
		if k, ok := c.(Skip); ok && len(events) == 1 {
			checkSkip(t, s.Streams[k.Stream], k, events[0].(Skipped))
		}
		for _, e := range events {
			s.Apply(e)
			journal = append(journal, e)
		}
		if err := s.Check(); err != nil {
			t.Fatalf("behind %+v: %v", c, err)
		}
		if again, err := Decide(s, c); err == nil && len(events) > 0 && len(again) > 0 {
			t.Fatalf("%+v is accepted twice: %+v, then %+v", c, events, again)
		}
	}
	for _, name := range s.StreamIDs() {
		f := NewStreamFacts(name)
		for i, e := range journal {
			f.Apply(uint64(i+1), e)
		}
		if want, _ := s.Stream(name); !reflect.DeepEqual(f, want) {
			t.Fatalf("facts %+v, state %+v", f, want)
		}
	}
}

func checkSkip(t *rapid.T, f *StreamFacts, c Skip, e Skipped) {
	in := func(spans []Span, seq uint64) bool {
		for _, s := range spans {
			if s.From <= seq && seq <= s.To {
				return true
			}
		}
		return false
	}
	for seq := uint64(0); seq < 100; seq++ {
		want := in([]Span{c.Want}, seq) && seq > c.Through && seq > f.Floor.Through && !in(c.Held, seq) && !in(f.Skips, seq)
		if got := in(e.Spans, seq); got != want {
			t.Fatalf("seq %d skipped: %v, want %v (%+v gave %+v)", seq, got, want, c, e)
		}
	}
}
