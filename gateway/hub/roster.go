package hub

import (
	"strconv"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/auth"
	"paceline/gateway/wire"
)

// rosterEpoch: rosters have one epoch; the version is the views' and rises with every change.
const rosterEpoch = 1

// rosterTopic is who rides, redacted for each audience. A roster is small and changes rarely: each change is a
// snapshot, one for each audience.
type rosterTopic struct {
	competition string
	sub         uint32
	people      People
	known       bool
	reading     bool
	readAt      unit.InstantMs // wall clock of the last read
	viewers     map[*Slot]auth.Principal
	frames      map[audience]*Frame
	maps        bool               // a map needs to know who may be shown
	byEntry     map[uint32]*Person // of people
}

// audience is a class of viewers that see the same names.
type audience struct {
	role    auth.Role
	entrant bool
	self    string // user id, only where a viewer sees a row of its own that its class does not
}

func (h *Hub) rosterOf(competition string) *rosterTopic {
	r := h.rosters[competition]
	if r == nil {
		r = &rosterTopic{competition: competition, sub: h.number(), viewers: map[*Slot]auth.Principal{}, frames: map[audience]*Frame{}}
		h.rosters[competition] = r
	}
	return r
}

// forgetRoster lets go of a roster that nobody needs.
func (h *Hub) forgetRoster(r *rosterTopic) {
	if len(r.viewers) == 0 && !r.maps {
		delete(h.rosters, r.competition)
	}
}

// person is who rides an entry, or nil: not known here.
func (r *rosterTopic) person(entry uint32) *Person {
	if r == nil {
		return nil
	}
	return r.byEntry[entry]
}

func (r *rosterTopic) read(now step.Now) []step.Out {
	if r.reading {
		return nil
	}
	r.reading, r.readAt = true, now.Wall
	return []step.Out{ReadRoster{r.competition}}
}

// rosterCost is how long one read of a roster must last for each person in it, ms: a big one is read seldom.
const rosterCost = 2

// poll reads the roster again if that is due: a profile may have changed, or somebody was erased.
func (r *rosterTopic) poll(now step.Now) []step.Out {
	if r.known && now.Wall.Sub(r.readAt) < unit.DurationMs(len(r.people.Rows)*rosterCost) {
		return nil
	}
	return r.read(now)
}

func (h *Hub) onRosterRead(m RosterRead) []step.Out {
	r := h.rosters[m.Competition]
	if r == nil {
		return nil
	}
	r.reading = false
	if m.Err != nil || r.known && m.People.Version <= r.people.Version {
		return nil
	}
	r.people, r.known = m.People, true
	r.byEntry = make(map[uint32]*Person, len(m.People.Rows))
	for i := range r.people.Rows {
		r.byEntry[r.people.Rows[i].Entry] = &r.people.Rows[i]
	}
	clear(r.frames)
	groups := map[*Frame][]*Slot{}
	for slot, viewer := range r.viewers {
		f := r.frame(viewer)
		groups[f] = append(groups[f], slot)
	}
	var outs []step.Out
	for f, slots := range groups {
		outs = append(outs, Publish{f, slots})
	}
	return append(outs, h.redraw(m.Competition)...)
}

// frame is the roster as this viewer may see it.
func (r *rosterTopic) frame(viewer auth.Principal) *Frame {
	a := r.audienceOf(viewer)
	if f := r.frames[a]; f != nil {
		return f
	}
	rows := make([]*livev1.RosterRow, 0, len(r.people.Rows))
	for i := range r.people.Rows {
		rows = append(rows, redact(&r.people.Rows[i], a))
	}
	f := &Frame{
		Topic: wire.Topic{Kind: wire.Roster, ID: r.competition}, Epoch: rosterEpoch, Version: r.people.Version, Sub: r.sub,
		content: &roster{rows},
	}
	r.frames[a] = f
	return f
}

func (r *rosterTopic) audienceOf(viewer auth.Principal) audience {
	a := audience{role: viewer.Role}
	person := viewer.Person()
	if viewer.Role == auth.Operator || person == "" {
		return a
	}
	for i := range r.people.Rows {
		if p := &r.people.Rows[i]; p.UserID == person {
			a.entrant = true
			if !auth.MaySee(auth.Viewer{Role: viewer.Role, Entrant: true}, p.Visibility, p.Minor) {
				a.self = person
			}
		}
	}
	return a
}

// redact leaves the entry number, which the board shows anyway, and "Athlete 17" where the viewer may not know.
func redact(p *Person, a audience) *livev1.RosterRow {
	row := &livev1.RosterRow{Entry: p.Entry, Category: p.Category, Heat: p.Heat}
	v := auth.Viewer{Role: a.role, Entrant: a.entrant, Self: a.self != "" && a.self == p.UserID}
	if p.Name == "" || !auth.MaySee(v, p.Visibility, p.Minor) {
		row.Name = "Athlete " + strconv.FormatUint(uint64(p.Entry), 10)
		return row
	}
	row.Name, row.Club, row.Flag = p.Name, p.Club, p.Flag
	return row
}
