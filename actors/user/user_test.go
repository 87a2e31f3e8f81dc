package user

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"paceline/domain/step"
	"paceline/domain/unit"
)

func good() Profile { return Profile{Handle: "ada.l", Name: "Ada L", Flag: "GB", Visibility: Public} }

func with(change func(p *Profile)) Profile {
	p := good()
	change(&p)
	return p
}

func TestDecide(t *testing.T) {
	self, other := step.Meta{By: "athlete:u1"}, step.Meta{By: "athlete:u2"}
	given := []Event{Registered{good()}}
	tests := []struct {
		name  string
		given []Event
		when  Command
		want  []Event
		err   error
	}{
		{"register", nil, Register{self, "u1", good()}, []Event{Registered{good()}}, nil},
		{"register by an operator", nil, Register{step.Meta{By: "operator:o"}, "u1", good()}, []Event{Registered{good()}}, nil},
		{"register somebody else", nil, Register{other, "u1", good()}, nil, ErrNotYours},
		{"register again", given, Register{self, "u1", good()}, nil, nil},
		{"register otherwise", given, Register{self, "u1", with(func(p *Profile) { p.Club = "x" })}, nil, ErrRegistered},
		{"no id", nil, Register{step.Meta{}, "", good()}, nil, errors.ErrUnsupported},
		{"change", given, ChangeProfile{self, "u1", with(func(p *Profile) { p.Club = "RC" })},
			[]Event{ProfileChanged{with(func(p *Profile) { p.Club = "RC" })}}, nil},
		{"change nothing", given, ChangeProfile{self, "u1", good()}, nil, nil},
		{"change before registering", nil, ChangeProfile{self, "u1", good()}, nil, ErrNotRegistered},
		{"change somebody else", given, ChangeProfile{other, "u1", good()}, nil, ErrNotYours},
		{"change to nonsense", given, ChangeProfile{self, "u1", with(func(p *Profile) { p.Name = "" })}, nil, ErrName},
	}
	for _, tt := range tests {
		s := New()
		for _, e := range tt.given {
			s.Apply(e)
		}
		before := *s // slices are replaced, not changed
		got, err := Decide(s, tt.when)
		if errors.Is(tt.err, errors.ErrUnsupported) {
			if err == nil {
				t.Errorf("%s: accepted", tt.name)
			}
			continue
		}
		if !errors.Is(err, tt.err) || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v, %v, want %v, %v", tt.name, got, err, tt.want, tt.err)
		}
		if !reflect.DeepEqual(*s, before) {
			t.Errorf("%s: Decide changed the state", tt.name)
		}
	}
}

func TestClean(t *testing.T) {
	tests := []struct {
		name string
		in   Profile
		want Profile
		err  error
	}{
		{"as it is", good(), good(), nil},
		{"upper case and spaces", with(func(p *Profile) { p.Handle, p.Name = " Ada.L ", " Ada L " }), good(), nil},
		{"nothing chosen is private", with(func(p *Profile) { p.Visibility = Unspecified }), with(func(p *Profile) { p.Visibility = Private }), nil},
		{"handle too short", with(func(p *Profile) { p.Handle = "ab" }), Profile{}, ErrHandle},
		{"handle too long", with(func(p *Profile) { p.Handle = strings.Repeat("a", 31) }), Profile{}, ErrHandle},
		{"handle begins with a dot", with(func(p *Profile) { p.Handle = ".ada" }), Profile{}, ErrHandle},
		{"handle with a slash", with(func(p *Profile) { p.Handle = "ada/l" }), Profile{}, ErrHandle},
		{"handle that looks like another", with(func(p *Profile) { p.Handle = "аda" }), Profile{}, ErrHandle},
		{"reserved", with(func(p *Profile) { p.Handle = "Admin" }), Profile{}, ErrReserved},
		{"no name", with(func(p *Profile) { p.Name = "  " }), Profile{}, ErrName},
		{"long name", with(func(p *Profile) { p.Name = strings.Repeat("ö", 61) }), Profile{}, ErrName},
		{"60 runes", with(func(p *Profile) { p.Name = strings.Repeat("ö", 60) }), with(func(p *Profile) { p.Name = strings.Repeat("ö", 60) }), nil},
		{"control character", with(func(p *Profile) { p.Name = "a\nb" }), Profile{}, ErrName},
		{"turned text", with(func(p *Profile) { p.Name = "a\u202eb" }), Profile{}, ErrName},
		{"not UTF-8", with(func(p *Profile) { p.Club = "\xff" }), Profile{}, ErrClub},
		{"flag in lower case", with(func(p *Profile) { p.Flag = "gb" }), Profile{}, ErrFlag},
		{"no flag", with(func(p *Profile) { p.Flag = "" }), with(func(p *Profile) { p.Flag = "" }), nil},
		{"unknown visibility", with(func(p *Profile) { p.Visibility = 4 }), Profile{}, ErrVisibility},
	}
	for _, tt := range tests {
		if got, err := Clean(tt.in); got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: Clean = %+v, %v, want %+v, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
}

// Whatever is asked: the state stays whole, and replaying the events gives it again.
func TestReplay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, replayed := New(), New()
		for range rapid.IntRange(0, 20).Draw(t, "commands") {
			p := Profile{Handle: rapid.StringMatching(`[a-zA-Z.]{0,5}`).Draw(t, "handle"), Name: rapid.String().Draw(t, "name"),
				Club: rapid.StringN(0, 3, 9).Draw(t, "club"), Flag: rapid.SampledFrom([]string{"", "DE", "d"}).Draw(t, "flag"),
				Visibility: Visibility(rapid.IntRange(0, 4).Draw(t, "visibility"))}
			var c Command = ChangeProfile{step.Meta{}, "u1", p}
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				c = Register{step.Meta{}, "u1", p}
			case 1, 2:
				at := rapid.Int64Range(0, 200_000).Draw(t, "at")
				c = Cheer{step.Meta{At: unit.InstantMs(at), By: rapid.SampledFrom([]string{"athlete:a", "athlete:b"}).Draw(t, "by")}, "u1", "race", 1, "bell"}
			}
			events, err := Decide(s, c)
			if err != nil && len(events) > 0 {
				t.Fatalf("events and %v", err)
			}
			for _, e := range events {
				s.Apply(e)
				replayed.Apply(e)
			}
			if err := s.Check(); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(s, replayed) {
			t.Fatalf("%+v, replayed %+v", s, replayed)
		}
	})
}
