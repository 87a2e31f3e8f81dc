package hub

import (
	liveboard "paceline/api/board"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/gateway/wire"
)

// Frame is one version of a cut, and its change against the version before. It is immutable; its bytes are made
// when they are first needed, once for each encoding.
type Frame struct {
	Topic          wire.Topic
	Cut            wire.Cut
	Epoch, Version uint64
	Base           uint64 // the version of the frame before it; 0: there is no delta
	Recovering     bool
	Sub            uint32 // the hub's number for the topic and cut

	content content
	log     *feedLog // of a feed
	made    [3][wire.Encodings]lazy
}

// content is what a kind of topic puts into snapshots and deltas.
type content interface {
	snapshot(*livev1.Snapshot)
	delta(*livev1.Delta)
}

type lazy struct {
	once  once
	bytes []byte
}

const (
	asSnapshot = iota
	asDelta
	asNamedDelta
)

// Snapshot is the whole cut in an encoding: the same bytes for everybody.
func (f *Frame) Snapshot(e wire.Encoding) []byte {
	l := &f.made[asSnapshot][e]
	l.once.Do(func() {
		s := &livev1.Snapshot{Topic: f.Topic.String(), Cut: f.Cut.String(), Epoch: f.Epoch, Version: f.Version, Recovering: f.Recovering, Sub: f.Sub}
		f.content.snapshot(s)
		l.bytes = wire.Encode(e, &livev1.ServerMessage{Message: &livev1.ServerMessage_Snapshot{Snapshot: s}})
	})
	return l.bytes
}

// Delta is the change since Base in an encoding: the same bytes for everybody. It says what it is about by Sub
// alone; NamedDelta is for those who do not know the number yet.
func (f *Frame) Delta(e wire.Encoding) []byte { return f.change(asDelta, e) }

// NamedDelta is Delta with topic and cut beside Sub.
func (f *Frame) NamedDelta(e wire.Encoding) []byte { return f.change(asNamedDelta, e) }

func (f *Frame) change(as int, e wire.Encoding) []byte {
	l := &f.made[as][e]
	l.once.Do(func() {
		if i, ok := f.content.(*inbox); ok {
			l.bytes = wire.Encode(e, &livev1.ServerMessage{Message: &livev1.ServerMessage_Event{Event: i.items[0]}})
			return
		}
		d := &livev1.Delta{Sub: f.Sub, Epoch: f.Epoch, Version: f.Version, Base: f.Base, Recovering: f.Recovering}
		if as == asNamedDelta {
			d.Topic, d.Cut = f.Topic.String(), f.Cut.String()
		}
		f.content.delta(d)
		l.bytes = wire.Encode(e, &livev1.ServerMessage{Message: &livev1.ServerMessage_Delta{Delta: d}})
	})
	return l.bytes
}

// changes reports whether what is new can be said to a viewer that has Base: of an inbox by an event, which is one
// entry, and the first one too.
func (f *Frame) changes() bool {
	if i, ok := f.content.(*inbox); ok {
		return len(i.items) == 1
	}
	return f.Base != 0
}

// after reports whether f is newer than {epoch, version}.
func (f *Frame) after(epoch, version uint64) bool {
	return f.Epoch > epoch || f.Epoch == epoch && f.Version > version
}

// board is the content of a board's cut.
type board struct {
	head    *livev1.Board // without rows
	rows    []*livev1.BoardRow
	base    *livev1.Board // head of the frame before; nil: there is no delta
	changed []changed
	removed []uint32
}

// changed is a row that is not what it was in the frame before; was is nil if it was not there.
type changed struct{ was, row *livev1.BoardRow }

// says reports whether a delta can say what has changed.
func (b *board) says() bool {
	if b.base == nil || !liveboard.Says(b.base, b.head) {
		return false
	}
	for _, c := range b.changed {
		if !liveboard.SaysRow(c.was, c.row) {
			return false
		}
	}
	return true
}

func (b *board) snapshot(s *livev1.Snapshot) {
	s.Content = &livev1.Snapshot_Board{Board: &livev1.Board{
		State: b.head.State, GunAtMs: b.head.GunAtMs, AtMs: b.head.AtMs, CourseLengthMm: b.head.CourseLengthMm,
		Entries: b.head.Entries, Gates: b.head.Gates, StaleSinceMs: b.head.StaleSinceMs, Rows: b.rows,
	}}
}

func (b *board) delta(d *livev1.Delta) {
	m := liveboard.Delta(b.base, b.head)
	m.Removed, m.Rows = b.removed, make([]*livev1.BoardRow, 0, len(b.changed))
	for _, c := range b.changed {
		m.Rows = append(m.Rows, liveboard.DeltaRow(c.was, c.row, m.AtMs))
	}
	d.Content = &livev1.Delta_Board{Board: m}
}

// positions is the content of a cut of the positions topic.
type positions struct {
	atMs          int64
	rows, changed []*livev1.PositionRow
}

func (p *positions) snapshot(s *livev1.Snapshot) {
	s.Content = &livev1.Snapshot_Positions{Positions: &livev1.Positions{AtMs: p.atMs, Rows: p.rows}}
}

func (p *positions) delta(d *livev1.Delta) {
	d.Content = &livev1.Delta_Positions{Positions: &livev1.Positions{AtMs: p.atMs, Rows: p.changed}}
}

// roster is the content of one audience's roster; it has no deltas.
type roster struct{ rows []*livev1.RosterRow }

func (r *roster) snapshot(s *livev1.Snapshot) {
	s.Content = &livev1.Snapshot_Roster{Roster: &livev1.Roster{Rows: r.rows}}
}

func (r *roster) delta(d *livev1.Delta) {
	d.Content = &livev1.Delta_Roster{Roster: &livev1.Roster{Rows: r.rows}}
}

// workout is one athlete's live numbers.
type workout struct{ now *livev1.Workout }

func (w *workout) snapshot(s *livev1.Snapshot) { s.Content = &livev1.Snapshot_Workout{Workout: w.now} }
func (w *workout) delta(d *livev1.Delta)       { d.Content = &livev1.Delta_Workout{Workout: w.now} }

// feed is items of a feed, in order.
type feed struct{ items []*livev1.FeedItem }

func (f *feed) snapshot(s *livev1.Snapshot) {
	s.Content = &livev1.Snapshot_Feed{Feed: &livev1.Feed{Items: f.items}}
}

func (f *feed) delta(d *livev1.Delta) {
	d.Content = &livev1.Delta_Feed{Feed: &livev1.Feed{Items: f.items}}
}

// inbox is entries of a person's inbox, in order. A change of it is one entry: an event.
type inbox struct{ items []*livev1.Event }

func (i *inbox) snapshot(s *livev1.Snapshot) {
	s.Content = &livev1.Snapshot_Inbox{Inbox: &livev1.Inbox{Items: i.items}}
}

func (i *inbox) delta(*livev1.Delta) {} // see Frame.change
