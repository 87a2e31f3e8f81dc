package board

import (
	"math"

	livev1 "paceline/api/gen/paceline/live/v1"
)

// Says reports whether a delta can say that a header was one thing and is another: what is there stays there.
func Says(was, is *livev1.Board) bool {
	return (is.State != 0 || was.State == 0) && (is.GunAtMs != 0 || was.GunAtMs == 0) &&
		(is.CourseLengthMm != 0 || was.CourseLengthMm == 0) && (is.Entries != 0 || was.Entries == 0) && (is.Gates != 0 || was.Gates == 0)
}

// SaysRow is Says for a row; was is nil if the client does not have it.
func SaysRow(was, is *livev1.BoardRow) bool {
	return was == nil || (is.Category != "" || was.Category == "") && (is.Heat != 0 || was.Heat == 0) &&
		(is.GateAtMs != 0 || was.GateAtMs == 0 || is.GatesPassed == 0)
}

// Delta is the header of a delta: what has changed, at_ms, and always whether the board is stale. It has no rows.
func Delta(was, is *livev1.Board) *livev1.Board {
	d := &livev1.Board{AtMs: is.AtMs, StaleSinceMs: is.StaleSinceMs}
	if is.State != was.GetState() {
		d.State = is.State
	}
	if is.GunAtMs != was.GetGunAtMs() {
		d.GunAtMs = is.GunAtMs
	}
	if is.CourseLengthMm != was.GetCourseLengthMm() {
		d.CourseLengthMm = is.CourseLengthMm
	}
	if is.Entries != was.GetEntries() {
		d.Entries = is.Entries
	}
	if is.Gates != was.GetGates() {
		d.Gates = is.Gates
	}
	return d
}

// DeltaRow is a row of a delta whose board is of atMs: without what a client keeps of was. was is nil if the client
// does not have it.
func DeltaRow(was, is *livev1.BoardRow, atMs int64) *livev1.BoardRow {
	d := copied(is)
	if was != nil {
		if is.Category == was.Category {
			d.Category = ""
		}
		if is.Heat == was.Heat {
			d.Heat = 0
		}
		if is.GatesPassed != 0 && is.GateAtMs == was.GateAtMs {
			d.GateAtMs = 0
		}
	}
	if age := atMs - is.PositionAtMs; is.PositionAtMs != 0 && age >= math.MinInt32 && age <= math.MaxInt32 {
		d.PositionAtMs, d.PositionAgeMs = 0, ptr(int32(age))
	}
	return d
}

func ptr(v int32) *int32 { return &v }

// copied is a shallow copy, without reflection.
func copied(r *livev1.BoardRow) *livev1.BoardRow {
	return &livev1.BoardRow{
		Entry: r.Entry, Place: r.Place, GatesPassed: r.GatesPassed, GateAtMs: r.GateAtMs, GapMs: r.GapMs, GapMm: r.GapMm, ProgressMm: r.ProgressMm,
		Status: r.Status, UnderReview: r.UnderReview, Unconfirmed: r.Unconfirmed, OfflineSinceMs: r.OfflineSinceMs, NetMs: r.NetMs, GunMs: r.GunMs,
		OffCourse: r.OffCourse, LatE7: r.LatE7, LonE7: r.LonE7, Heat: r.Heat, Category: r.Category, PositionAtMs: r.PositionAtMs, PositionAgeMs: r.PositionAgeMs,
	}
}

// View is a board, or a cut of one, as a client holds it. Its zero value holds nothing.
type View struct {
	Head *livev1.Board // without rows; nil before the first Take; replaced, never changed
	Rows map[uint32]*livev1.BoardRow
}

// Take takes the content of a snapshot.
func (v *View) Take(b *livev1.Board) {
	v.Head = &livev1.Board{State: b.GetState(), GunAtMs: b.GetGunAtMs(), AtMs: b.GetAtMs(), CourseLengthMm: b.GetCourseLengthMm(), Entries: b.GetEntries(), Gates: b.GetGates(), StaleSinceMs: b.GetStaleSinceMs()}
	v.Rows = make(map[uint32]*livev1.BoardRow, len(b.GetRows()))
	for _, r := range b.GetRows() {
		v.Rows[r.GetEntry()] = r
	}
}

// Change takes the content of a delta that follows what is held.
func (v *View) Change(b *livev1.Board) {
	if v.Rows == nil {
		v.Rows = map[uint32]*livev1.BoardRow{}
	}
	h := v.Head
	v.Head = &livev1.Board{
		State: kept(b.GetState(), h.GetState()), GunAtMs: kept(b.GetGunAtMs(), h.GetGunAtMs()), AtMs: b.GetAtMs(),
		CourseLengthMm: kept(b.GetCourseLengthMm(), h.GetCourseLengthMm()), Entries: kept(b.GetEntries(), h.GetEntries()), Gates: kept(b.GetGates(), h.GetGates()),
		StaleSinceMs: b.GetStaleSinceMs(), // said by every delta
	}
	for _, r := range b.GetRows() {
		v.Rows[r.GetEntry()] = whole(v.Rows[r.GetEntry()], r, b.GetAtMs())
	}
	for _, e := range b.GetRemoved() {
		delete(v.Rows, e)
	}
}

func kept[T comparable](said, had T) T {
	var nothing T
	if said == nothing {
		return had
	}
	return said
}

// whole is the row that DeltaRow was made from.
func whole(was, d *livev1.BoardRow, atMs int64) *livev1.BoardRow {
	r := copied(d)
	if d.PositionAgeMs != nil {
		r.PositionAtMs, r.PositionAgeMs = atMs-int64(*d.PositionAgeMs), nil
	}
	if was != nil {
		r.Category, r.Heat = kept(d.Category, was.Category), kept(d.Heat, was.Heat)
		if d.GatesPassed != 0 {
			r.GateAtMs = kept(d.GateAtMs, was.GateAtMs)
		}
	}
	return r
}
