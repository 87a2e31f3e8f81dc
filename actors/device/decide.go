package device

import (
	"slices"
	"strings"
	"unicode/utf8"

	"paceline/domain/geo"
	"paceline/domain/id"
	"paceline/domain/unit"
)

// The numbers of the rules.
const (
	MaxSeq        = 1<<62 - 1 // no sum of seqs overflows
	windowBehind  = 7 * unit.Day
	windowAhead   = 48 * unit.Hour
	maxClockApart = 24 * unit.Hour
	maxDeviceTime = unit.InstantMs(1 << 50) // far beyond any calendar, far from overflow
	clockLeast    = 250 * unit.DurationMs(1)
	clockErrors   = 3               // times its error a measurement must differ
	openError     = 1 * unit.Second // of a clock measured by one message
	maxSkip       = 1_000_000       // seqs: 11 days at 1 Hz
	maxUnrecorded = 1024            // streams
	maxTextBytes  = 120
	// claimFor is how long a claim on a shared machine holds that names no end: longer than a workout, shorter than a day,
	// for whoever leaves without a word must not keep others from it.
	claimFor = 12 * unit.Hour
)

// Decide says what follows from a command, or why it is refused. It never changes s.
func Decide(s *State, c Command) ([]Event, error) {
	switch c := c.(type) {
	case Register:
		return decideRegister(s, c)
	case Claim:
		return decideClaim(s, c)
	case Release:
		return decideRelease(s, c)
	case OpenStream:
		return decideOpen(s, c)
	case SetClock:
		return decideClock(s, c)
	case Skip:
		return decideSkip(s, c)
	case CloseStream:
		return decideClose(s, c)
	case Record:
		return decideRecord(s, c)
	}
	panic("device: a command without a rule")
}

func decideRegister(s *State, c Register) ([]Event, error) {
	r := c.Particulars
	if s.Registered {
		if s.Device == r {
			return nil, nil
		}
		return nil, ErrRegistered
	}
	if err := id.CheckScoped(c.Device); err != nil {
		return nil, err
	}
	affinity, local, _ := strings.Cut(c.Device, "/")
	if r.Owner != "" && affinity != r.Owner || r.Owner == "" && affinity != local {
		return nil, ErrAffinity
	}
	if !text(r.Name) || !text(r.Model) {
		return nil, ErrText
	}
	return []Event{r}, nil
}

func text(s string) bool { return len(s) <= maxTextBytes && utf8.ValidString(s) }

// athlete is the user in a principal "athlete:<user>"; false for devices, operators and grains.
func athlete(by string) (string, bool) { return strings.CutPrefix(by, "athlete:") }

func decideClaim(s *State, c Claim) ([]Event, error) {
	if !s.Registered {
		return nil, ErrNotRegistered
	}
	if err := id.Check(c.Person); err != nil {
		return nil, err
	}
	if c.Until != 0 && c.Until <= c.At {
		return nil, ErrClaimOver
	}
	if user, ok := athlete(c.By); ok && user != s.Device.Owner && (user != c.Person || s.Device.Owner != "") {
		return nil, ErrNotYours
	}
	if s.claimHolds(c.At) && s.Claim.Person != c.Person {
		return nil, ErrClaimed
	}
	e := Claimed{Person: c.Person, Until: c.Until}
	if e.Until == 0 && s.Device.Owner == "" {
		e.Until = c.At.Add(claimFor)
	}
	if s.Claim == e {
		return nil, nil
	}
	return []Event{e}, nil
}

func decideRelease(s *State, c Release) ([]Event, error) {
	if !s.Registered {
		return nil, ErrNotRegistered
	}
	if s.Claim.Person == "" {
		return nil, nil
	}
	if user, ok := athlete(c.By); ok && user != s.Device.Owner && user != s.Claim.Person {
		return nil, ErrNotYours
	}
	return []Event{Released{Person: s.Claim.Person}}, nil
}

func decideOpen(s *State, c OpenStream) ([]Event, error) {
	if !s.Registered {
		return nil, ErrNotRegistered
	}
	if c.Person == "" {
		c.Person = s.Device.Owner
	}
	if user, ok := athlete(c.By); ok && user != c.Person && user != s.Device.Owner {
		return nil, ErrNotYours
	}
	channels, err := sortedChannels(c.Channels)
	if err != nil {
		return nil, err
	}
	training := c.Person + "/" + c.Workout
	if f := s.Streams[c.Stream]; f != nil {
		// Whoever rode then may deliver what is left, also after the claim has ended.
		o := f.Opening
		if o.Training != training || o.Person != c.Person || o.Clock != c.Clock || !slices.Equal(o.Channels, channels) ||
			c.Sport != "" && c.Sport != o.Sport {
			return nil, ErrDiffers
		}
		if _, known := LimitsOf(o.LimitsVersion, o.Sport); !known {
			return nil, ErrLimits
		}
		return nil, nil
	}
	if !s.Rider(c.Person, c.At) {
		return nil, ErrNotYours
	}
	if err := checkOpening(s, c); err != nil {
		return nil, err
	}
	events := []Event{StreamOpened{
		Stream: c.Stream, Training: training, Person: c.Person,
		WindowFrom: c.DeviceTime.Add(-windowBehind), WindowTo: c.DeviceTime.Add(windowAhead),
		LimitsVersion: LimitsVersion, Clock: c.Clock, Channels: channels, Sport: c.Sport,
	}}
	if e, ok := openClock(c); ok {
		events = append(events, e)
	}
	return events, nil
}

func checkOpening(s *State, c OpenStream) error {
	for _, name := range []string{c.Stream, c.Workout, c.Person} {
		if err := id.Check(name); err != nil {
			return err
		}
	}
	if c.Sport != "" && !geo.Sport(c.Sport).Known() {
		return ErrSport.With("%q", c.Sport)
	}
	if c.DeviceTime <= 0 || c.DeviceTime > maxDeviceTime || c.NodeTime < 0 || c.NodeTime > maxDeviceTime {
		return ErrDeviceTime
	}
	unrecorded := 0
	for _, f := range s.Streams {
		if f.Floor.Through == 0 {
			unrecorded++
		}
	}
	if unrecorded >= maxUnrecorded {
		return ErrTooMany
	}
	return nil
}

func sortedChannels(in []ChannelSpec) ([]ChannelSpec, error) {
	out := slices.Clone(in)
	slices.SortFunc(out, func(a, b ChannelSpec) int { return int(a.Channel) - int(b.Channel) })
	for i, c := range out {
		if !c.Channel.Known() || i > 0 && out[i-1].Channel == c.Channel {
			return nil, ErrChannels
		}
	}
	if len(out) == 0 {
		return nil, ErrChannels
	}
	return out, nil
}
