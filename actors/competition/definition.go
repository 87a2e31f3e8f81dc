package competition

import (
	"slices"

	"paceline/actors/leaderboard"
	"paceline/domain/course"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/unit"
)

// StartKind says how entries are started. Stored value: append only.
type StartKind uint8

// The kinds of start.
const (
	MassStart       StartKind = 1
	WaveStart       StartKind = 2 // gun + offset of the entry's wave
	IndividualStart StartKind = 3 // gun + offset of the entry
)

// RulesVersion is what a start list's lock pins; Standings knows every version that ever was pinned.
const RulesVersion uint32 = 1

// Bounds of a competition.
const (
	MaxNameBytes   = 200
	MaxLinePoints  = 8_000 // a definition travels in one event and in every Bind
	MaxEntryNumber = 99_999
	MaxHeat        = 1_000
	maxFlags       = 16
	maxFlagBytes   = 64
	// MaxResultBytes bounds one ResultPublished or ResultPart, so that it fits into an append beside what belongs to it.
	MaxResultBytes = 240 << 10
	// MaxField is the largest field; a race above it is to be split by heats. MaxFieldBytes bounds what the rows and
	// inputs of one race weigh, and so what its grain holds.
	MaxField      = 50_000
	MaxFieldBytes = 64 << 20
	// maxEntryBytes bounds one entry of more than a few; statusBytes is the status that may follow from its row.
	maxEntryBytes = 64 << 10
	statusBytes   = 16
	// rowBytes is what a row and its input take with ids as they are usually minted, without gates; gateBytes is a gate.
	rowBytes  = 400
	gateBytes = 20

	defaultGrace  = 10 * unit.Minute
	defaultCutoff = unit.Day
	maxCutoff     = 31 * unit.Day
	maxGrace      = unit.Day
	maxOffset     = unit.Day
	gunEarliest   = unit.Day      // before the command
	gunLatest     = 31 * unit.Day // after it
	// MaxAudienceDelay bounds how late a map may be: a node keeps what it has not shown yet.
	MaxAudienceDelay = unit.Hour
)

// Columns is what an audience is shown of somebody's position. Stored value: append only.
type Columns uint8

// The columns.
const (
	ProgressColumns Columns = 1 // how far along the course
	PositionColumns Columns = 2 // and latitude and longitude, of those who race and want to be seen by the audience
)

// Audience is what an audience is shown of positions, and how late by the node's clock.
type Audience struct {
	Columns Columns // 0: progress for the public, position for entrants
	Delay   unit.DurationMs
}

// Audiences are those that a race declares. Officials see everything, at once.
type Audiences struct{ Public, Entrant Audience }

// normal fills in what is left open.
func (a Audiences) normal() Audiences {
	if a.Public.Columns == 0 {
		a.Public.Columns = ProgressColumns
	}
	if a.Entrant.Columns == 0 {
		a.Entrant.Columns = PositionColumns
	}
	return a
}

func (a Audience) ok() bool {
	return a.Columns >= ProgressColumns && a.Columns <= PositionColumns && a.Delay >= 0 && a.Delay <= MaxAudienceDelay
}

// What can be wrong with a definition.
var (
	ErrName       = fault.New(fault.Invalid, "competition.name", "A competition needs a name of at most 200 bytes.")
	ErrStartKind  = fault.New(fault.Invalid, "competition.start_kind", "A start is a mass start, in waves or individual.")
	ErrRankBy     = fault.New(fault.Invalid, "competition.rank_by", "A ranking is by gun or by net time.")
	ErrCutoff     = fault.New(fault.Invalid, "competition.cutoff", "A cut-off is at most 31 days after the gun, its grace at most a day.")
	ErrAuto       = fault.New(fault.Invalid, "competition.auto_official", "A result becomes official by itself after a time, at once (0) or never (-1).")
	ErrAudience   = fault.New(fault.Invalid, "competition.audience", "An audience is shown progress or positions, at most an hour late.")
	ErrTooLong    = fault.New(fault.Invalid, "competition.course_too_long", "The course line of a race has at most 8,000 points.")
	ErrCourseLaps = fault.New(fault.Invalid, "competition.course_gates", "This course has so many gates that not even one entry's result could be stored.")
)

// Definition is what a competition is created with.
type Definition struct {
	Organization      string
	Name              string
	Track             course.Track
	Start             StartKind        // 0: mass
	RankBy            leaderboard.Base // 0: gun
	Categories        []string
	Public            bool
	ScheduledAt       unit.InstantMs
	CutoffAfter       unit.DurationMs // after the gun; 0: a day
	Grace             unit.DurationMs // after the cut-off; 0: ten minutes
	AutoOfficialAfter unit.DurationMs // after provisional; 0: at once, -1: only by command
	Audiences         Audiences       // of positions
}

// Shown is what the audiences see; a race of a time before there were any has the defaults.
func (d *Definition) Shown() Audiences { return d.Audiences.normal() }

// MaxEntries is how many entries a race with so many gate visits takes.
func MaxEntries(visits int) int {
	each := rowBytes + gateBytes*visits
	if each > maxEntryBytes {
		return MaxResultBytes / each
	}
	return min(MaxField, MaxFieldBytes/each)
}

// MaxEntriesInOne is how many entries it takes if its result must be one event.
func MaxEntriesInOne(visits int) int { return MaxResultBytes / (rowBytes + gateBytes*visits) }

// normal checks a definition and fills in what it leaves open.
func (d Definition) normal() (Definition, error) {
	if d.Organization == "" {
		d.Organization = id.DefaultOrganization
	}
	if d.Start == 0 {
		d.Start = MassStart
	}
	if d.RankBy == 0 {
		d.RankBy = leaderboard.Gun
	}
	if d.CutoffAfter == 0 {
		d.CutoffAfter = defaultCutoff
	}
	if d.Grace == 0 {
		d.Grace = defaultGrace
	}
	d.Audiences = d.Audiences.normal()
	d.Categories = slices.Clone(d.Categories)
	if err := id.Check(d.Organization); err != nil {
		return d, err
	}
	switch {
	case d.Name == "" || len(d.Name) > MaxNameBytes:
		return d, ErrName
	case d.Start < MassStart || d.Start > IndividualStart:
		return d, ErrStartKind.With("%d", d.Start)
	case d.RankBy != leaderboard.Gun && d.RankBy != leaderboard.Net:
		return d, ErrRankBy.With("%d", d.RankBy)
	case d.CutoffAfter < 0 || d.CutoffAfter > maxCutoff || d.Grace < 0 || d.Grace > maxGrace:
		return d, ErrCutoff
	case d.AutoOfficialAfter < -1 || d.AutoOfficialAfter > maxCutoff:
		return d, ErrAuto.With("%d ms", d.AutoOfficialAfter)
	case !d.Audiences.Public.ok() || !d.Audiences.Entrant.ok():
		return d, ErrAudience
	case len(d.Track.Line) > MaxLinePoints:
		return d, ErrTooLong.With("%d points", len(d.Track.Line))
	}
	if err := leaderboard.CheckCategories(d.Categories); err != nil {
		return d, err
	}
	if d.Track.Name == "" {
		d.Track.Name = d.Name
	}
	c, err := course.New(d.Track)
	if err != nil {
		return d, err
	}
	if MaxEntries(len(c.Visits())) < 1 {
		return d, ErrCourseLaps.With("%d visits", len(c.Visits()))
	}
	d.Track = c.Track()
	return d, nil
}
