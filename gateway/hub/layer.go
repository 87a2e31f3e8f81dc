package hub

import (
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/auth"
	"paceline/gateway/wire"
)

const (
	// layerSteps is into how many steps a delay is divided: a map that is an hour late moves once a minute.
	layerSteps = 60
	// maxRing bounds what a delayed layer keeps: the steps, the one that is still being overwritten, and one to spare.
	maxRing = layerSteps + 4
)

// spot is a row and where on the ground it is. It is replaced, never changed.
type spot struct {
	row      *livev1.BoardRow // without latitude and longitude
	lat, lon int32
}

// moment is what a race's map was at one instant. Immutable.
type moment struct {
	at             unit.InstantMs // node clock, when this node knew it: no device's clock can make it older
	epoch, version uint64
	recovering     bool
	head           *livev1.Board
	spots          []*spot // by place
}

// rule is what the race has declared for an audience. Its zero value shows how far everybody is, at once.
type rule struct {
	position bool            // latitude and longitude too
	delay    unit.DurationMs // node clock
}

// place is what a row of a map says, to be compared.
type place struct {
	progress, at int64
	lat, lon     int32
	offline      int64
	unconfirmed  bool
}

type drawn struct {
	place place
	row   *livev1.PositionRow // never changed, replaced
}

// layer is the map of one audience. What an audience must not see is not in its rows.
type layer struct {
	audience wire.Audience
	rule     rule
	ring     []*moment      // too young to be shown, oldest first; empty without a delay
	shown    *moment        // what the audience may know; nil: nothing yet
	shownAt  unit.InstantMs // wall clock
	current  *moment        // what rows were drawn from
	rows     []*livev1.PositionRow
	held     map[uint32]drawn
	cuts     map[wire.Cut]*mapCut
}

func newLayers() (all [wire.Audiences]layer) {
	for i := range all {
		all[i] = layer{audience: wire.Audience(i), held: map[uint32]drawn{}, cuts: map[wire.Cut]*mapCut{}}
	}
	return all
}

// declare takes what the race says of its audiences. One that it does not name is shown progress only.
func (r *race) declare(audiences []*clusterv1.TopicAudience) {
	var rules [wire.Audiences]rule
	for _, a := range audiences {
		if n := a.GetAudience(); n < wire.Audiences {
			rules[n] = rule{a.Position, max(0, unit.DurationMs(a.DelayMs))}
		}
	}
	for i := range r.layers {
		r.layers[i].rule = rules[i]
	}
}

// moment is the map as it is now.
func (r *replica) moment(at unit.InstantMs) *moment {
	r.momentAt = max(r.momentAt, at)
	m := &moment{at: r.momentAt, epoch: r.epoch, version: r.version, recovering: r.recovering, head: r.head, spots: make([]*spot, len(r.order))}
	for i, e := range r.order {
		m.spots[i] = e.spot
	}
	return m
}

// learn takes the newest moment. Of those that wait, two follow each other by at least a step, the newest aside,
// which is overwritten until it does: the last one is never lost, and what waits is bounded.
func (l *layer) learn(m *moment) {
	if l.rule.delay == 0 {
		l.ring, l.shown = nil, m
		return
	}
	n := len(l.ring)
	apart := max(unit.Second, l.rule.delay/layerSteps)
	if n >= maxRing || n >= 2 && l.ring[n-1].at.Sub(l.ring[n-2].at) < apart {
		l.ring[n-1] = m
		return
	}
	l.ring = append(l.ring, m)
}

// advance shows what is old enough by the node's clock, at most once in every.
func (l *layer) advance(now step.Now, every unit.DurationMs) {
	if len(l.ring) == 0 || l.shownAt != 0 && now.Wall.Sub(l.shownAt) < every {
		return
	}
	due := 0
	for due < len(l.ring) && now.Node.Sub(l.ring[due].at) >= l.rule.delay {
		due++
	}
	if due == 0 {
		return
	}
	l.shown, l.shownAt = l.ring[due-1], now.Wall
	n := copy(l.ring, l.ring[due:])
	clear(l.ring[n:])
	l.ring = l.ring[:n]
}

// draw makes the rows that the audience may see; false if there is nothing to show yet: no moment old enough, or
// nobody has said who may be shown.
func (l *layer) draw(people *rosterTopic, now *replica) bool {
	if l.shown == nil || l.rule.position && (people == nil || !people.known) {
		return false
	}
	if l.current == l.shown && !l.rule.position {
		return true
	}
	rows := make([]*livev1.PositionRow, len(l.shown.spots))
	for i, s := range l.shown.spots {
		rows[i] = l.row(s, people, now)
	}
	if len(l.held) > 2*len(rows) {
		for entry := range l.held {
			if now.rows[entry] == nil {
				delete(l.held, entry)
			}
		}
	}
	l.current, l.rows = l.shown, rows
	return true
}

func (l *layer) row(s *spot, people *rosterTopic, now *replica) *livev1.PositionRow {
	p := place{progress: s.row.ProgressMm, at: s.row.PositionAtMs}
	if l.audience == wire.Official {
		p.offline, p.unconfirmed = s.row.OfflineSinceMs, s.row.Unconfirmed
	}
	if l.rule.position && l.mayLocate(s, people.person(s.row.Entry), now) {
		p.lat, p.lon = s.lat, s.lon
	}
	if have, ok := l.held[s.row.Entry]; ok && have.place == p {
		return have.row
	}
	row := &livev1.PositionRow{Entry: s.row.Entry, ProgressMm: p.progress, LatE7: p.lat, LonE7: p.lon, AtMs: p.at,
		OfflineSinceMs: p.offline, Unconfirmed: p.unconfirmed}
	l.held[s.row.Entry] = drawn{p, row}
	return row
}

// mayLocate decides whether the audience learns where somebody is on the ground. Nobody is shown before the gun and
// after the finish, and the erased never. Officials learn it of everybody else, also of those who are out of the race
// or offline: they must find whoever is out there. Others learn it of those who race and are connected, as far as the
// person wants to be known to them; whoever is out of the race is so at once, also on a map of the past.
func (l *layer) mayLocate(s *spot, p *Person, now *replica) bool {
	if p == nil || p.Erased {
		return false
	}
	if l.audience == wire.Official {
		switch s.row.Status {
		case livev1.EntryStatus_ENTRY_STATUS_RACING, livev1.EntryStatus_ENTRY_STATUS_DNF, livev1.EntryStatus_ENTRY_STATUS_DSQ:
			return true
		default:
			return false
		}
	}
	if s.row.Status != livev1.EntryStatus_ENTRY_STATUS_RACING || s.row.OfflineSinceMs != 0 {
		return false
	}
	e := now.rows[s.row.Entry]
	if e == nil || e.row.Status != livev1.EntryStatus_ENTRY_STATUS_RACING && e.row.Status != livev1.EntryStatus_ENTRY_STATUS_FINISHED {
		return false
	}
	v := auth.Viewer{}
	if l.audience == wire.Entrant {
		v = auth.Viewer{Role: auth.Athlete, Entrant: true}
	}
	return auth.MaySee(v, p.Visibility, p.Minor)
}

// choose returns the rows of a cut, in order of place.
func (l *layer) choose(c wire.Cut) []*livev1.PositionRow {
	switch c.Kind {
	case wire.Top:
		return l.rows[:min(int(c.N), len(l.rows))]
	case wire.Around:
		for i, s := range l.current.spots {
			if s.row.Entry == c.N {
				return l.rows[max(0, i-aroundRows):min(len(l.rows), i+aroundRows+1)]
			}
		}
		return nil
	case wire.Category:
		var rows []*livev1.PositionRow
		for i, s := range l.current.spots {
			if s.row.Category == c.Category {
				rows = append(rows, l.rows[i])
			}
		}
		return rows
	case wire.All:
	}
	return l.rows
}
