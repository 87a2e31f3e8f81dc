package demo

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/simulations/swarm"
	"paceline/simulations/swarm/athlete"
	"paceline/simulations/swarm/courses"
)

// Plan is a race that is going to be held.
type Plan struct {
	Title    string
	Track    course.Track
	Course   *course.Course
	Gun      unit.InstantMs
	Last     unit.InstantMs // when the last one should be in
	Entrants []Entrant
	Notes    []string // what the reader should know about where the recordings come from
	Expected string   // a file of gate times to compare with; empty: none
}

// Entrant is one athlete with what the device will send.
type Entrant struct {
	Name     string
	Club     string
	Flag     string // ISO 3166-1 alpha-2
	Samples  sample.Batch
	Channels map[sample.Channel]sample.Trust
	Offline  []swarm.Span
	Trainer  *athlete.Trainer // at home, set by the node; nil: on the road
}

// crossings is what the entrant's samples give.
func (p *Plan) crossings(e *Entrant) []swarm.Crossing {
	return swarm.Crossings(p.Course, p.Gun, &e.Samples, nil)
}

// finish is when the entrant's samples cross the finish, and the sample that does.
func (p *Plan) finish(e *Entrant) (at unit.InstantUs, index int, ok bool) {
	x := p.crossings(e)
	if len(x) == 0 || x[len(x)-1].Gate != p.Course.Finish() {
		return 0, 0, false
	}
	at = x[len(x)-1].At
	for i, t := range e.Samples.AtMs {
		if t.Us() >= at {
			// A sample in between without a position crosses nothing: the first long enough prefix that finishes counts.
			for ; i < e.Samples.Len(); i++ {
				cut := e.Samples.Slice(0, i+1)
				if y := swarm.Crossings(p.Course, p.Gun, &cut, nil); len(y) == len(x) {
					return at, i, true
				}
			}
		}
	}
	return at, e.Samples.Len() - 1, true
}

// reviewExpected reports a step between gun and finish that nobody of the sport can make.
func (p *Plan) reviewExpected(e *Entrant) bool {
	_, last, ok := p.finish(e)
	if !ok {
		last = e.Samples.Len() - 1
	}
	for _, seq := range swarm.Implausible(p.Course, &e.Samples) {
		if i := int(seq - e.Samples.FirstSeq); i <= last && e.Samples.AtMs[i] > p.Gun {
			return true
		}
	}
	return false
}

// stop cuts a recording so long after its finish: the watch is stopped.
func (p *Plan) stop(e *Entrant, after unit.DurationMs) {
	at, i, ok := p.finish(e)
	if !ok {
		return
	}
	n := i + 1
	for n < e.Samples.Len() && e.Samples.AtMs[n].Us() <= at+unit.InstantUs(after)*1000 {
		n++
	}
	if n < e.Samples.Len() {
		// A copy: what is cut off shall not be kept.
		var b sample.Batch
		cut := e.Samples.Slice(0, n)
		b.Append(&cut)
		e.Samples = b
	}
	for i, s := range e.Offline {
		e.Offline[i] = swarm.Span{From: min(s.From, n), To: min(s.To, n)}
	}
}

// settle works out what follows from the entrants.
func (p *Plan) settle() error {
	c, err := course.New(p.Track)
	if err != nil {
		return fmt.Errorf("demo: course: %w", err)
	}
	p.Course, p.Last = c, p.Gun
	for i := range p.Entrants {
		e := &p.Entrants[i]
		p.stop(e, 30*unit.Second)
		if n := e.Samples.Len(); n > 0 {
			p.Last = max(p.Last, e.Samples.AtMs[n-1])
		}
	}
	return nil
}

// speed is the default rate: the race takes about a minute.
func (p *Plan) speed() float64 {
	s := float64(p.Last-p.Gun) / float64(raceTakes/time.Millisecond)
	return min(max(s, 1), 1000)
}

var (
	clubs = []string{"Velmar Wheelers", "Ostkap RC", "Team Lanthorn", ""}
	flags = []string{"NO", "IT", "PT", "NL", "JP", "DE", "IE", "FI"}
)

// ownRace is twelve of the project's own athletes on a course of its own. The instant of the gun is the wall clock's,
// to a full second.
func ownRace(seed uint64, gun unit.InstantMs) (*Plan, error) {
	track, err := courses.Read("velmar")
	if err != nil {
		return nil, err
	}
	line := track.Line()
	heights := make([]int64, len(line))
	for i, q := range track.Points {
		heights[i] = q.AltitudeMm
	}
	profile, err := athlete.NewProfile(line, heights)
	if err != nil {
		return nil, err
	}
	p := &Plan{Title: track.Name, Gun: gun, Track: course.Track{Format: course.Line, Sport: geo.Ride, Name: track.Name, Line: line, HeightsMm: heights, CorridorMm: 60_000}}
	if p.Track.Gates, err = ownGates(line); err != nil {
		return nil, err
	}
	field := athlete.Field{Profile: profile, Sport: geo.Ride, Athletes: 12, Seed: seed, Gun: gun, Abandon: 1}
	for i, r := range field.Race() {
		e := Entrant{Name: r.Name, Club: clubs[i%len(clubs)], Flag: flags[i%len(flags)], Samples: r.Samples, Channels: athlete.Channels(geo.Ride)}
		for _, s := range r.Offline {
			e.Offline = append(e.Offline, swarm.Span(s))
		}
		p.Entrants = append(p.Entrants, e)
		if r.Gave {
			p.Notes = append(p.Notes, fmt.Sprintf("%s will give up on the way.", r.Name))
		}
	}
	p.ridesAtHome(&p.Entrants[0])
	p.Notes = append(p.Notes, fmt.Sprintf("Athletes and course are the project's own: physics with seed %d, an island that does not exist.", seed))
	return p, p.settle()
}

// ridesAtHome puts an athlete on a trainer: where the others measure, this one's place on the course is worked out of
// what is pedalled, and the node sets how steep that is.
func (p *Plan) ridesAtHome(e *Entrant) {
	e.Trainer = athlete.NewTrainer()
	for _, c := range []sample.Channel{sample.LatE7, sample.LonE7, sample.AltitudeMm, sample.DistanceMm, sample.SpeedMmS} {
		e.Channels[c] = sample.Virtual
	}
	p.Notes = append(p.Notes, e.Name+" rides at home, on a trainer that the node sets to the gradient of the course.")
}

func ownGates(line []geo.Point) ([]geo.Gate, error) {
	length := geo.LineMm(line)
	var gates []geo.Gate
	for _, g := range []struct {
		id   string
		kind geo.GateKind
		at   unit.DistanceMm
	}{
		{"start", geo.StartGate, 0}, {"ridge", geo.ClimbGate, length * 24 / 100}, {"cove", geo.SprintGate, length / 2},
		{"beacon", geo.ClimbGate, length * 63 / 100}, {"mole", geo.SplitGate, length * 80 / 100}, {"finish", geo.FinishGate, length},
	} {
		placed, ok := geo.Gate{ID: g.id, Kind: g.kind, Mandatory: true}.Across(line, g.at, 60_000)
		if !ok {
			return nil, fmt.Errorf("demo: no gate %s at %d mm", g.id, g.at)
		}
		gates = append(gates, placed)
	}
	return gates, nil
}

// planOf reads what the options ask for.
func planOf(o Options, wall time.Time) (*Plan, error) {
	if o.Data == "" {
		return ownRace(o.Seed, unit.InstantMs(wall.Truncate(time.Second).Add(lead).UnixMilli()))
	}
	if info, err := os.Stat(o.Data); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("demo: there is no folder %s (DATA names one with recordings)", o.Data)
	}
	switch name := filepath.Base(filepath.Clean(o.Data)); name {
	case "group-regatta-2024":
		return regatta(o.Data)
	case "virtual-5k":
		return virtual(o.Data)
	case "ghost-4k", "ghost-8k", "ghost-10k":
		return ghost(o.Data)
	default:
		return nil, fmt.Errorf("demo: %s: known are group-regatta-2024, virtual-5k, ghost-4k, ghost-8k and ghost-10k", name)
	}
}
