package competition

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"

	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// ErrParts is a closing event whose parts are not those that it names.
var ErrParts = fault.New(fault.Internal, "competition.result_parts", "A result is not what its parts are.")

// Publication is a result on its way: parts of it are journalled, its closing event is not. It exists for nobody.
type Publication struct {
	Version uint32
	Status  ResultStatus
	Why     string
	At      unit.InstantMs
	// Base is the journal version from whose state all parts are computed, and the name of the attempt; 0: it is to be
	// begun again.
	Base   uint64
	Parts  uint32
	Last   uint64 // version of the newest part
	Rows   []Row
	Inputs []Input
}

// clone shares nothing that Apply appends to.
func (p *Publication) clone() *Publication {
	if p == nil {
		return nil
	}
	c := *p
	c.Rows, c.Inputs = slices.Clone(p.Rows), slices.Clone(p.Inputs)
	return &c
}

// applyPart takes one part. One that does not follow the part before it spoils the attempt.
func (s *State) applyPart(ev ResultPart) {
	p := s.Publishing
	if ev.Part == 1 {
		p = &Publication{Version: ev.Version, Status: ev.Status, Why: ev.Why, At: ev.At, Base: ev.JournalVersion}
		s.Publishing = p
	}
	switch {
	case p == nil:
		return
	case p.Version != ev.Version || p.Base != ev.JournalVersion && !step.RuleResultOneState.Off() || p.Parts+1 != ev.Part:
		p.restart()
		return
	}
	p.Parts, p.Last = ev.Part, s.Version
	p.Rows, p.Inputs = append(p.Rows, ev.Rows...), append(p.Inputs, ev.Inputs...)
}

// whole is a result with its parts in it; false: they are not there.
func (s *State) whole(ev ResultPublished) (ResultPublished, bool) {
	if ev.Parts == 0 || len(ev.Rows) > 0 {
		return ev, true
	}
	p := s.Publishing
	if p == nil || p.Base != ev.JournalVersion || p.Version != ev.Version || p.Parts != ev.Parts {
		return ev, false
	}
	return joined(ev, p.Rows, p.Inputs)
}

// joined puts rows and inputs into a closing event, if they are what it names.
func joined(ev ResultPublished, rows []Row, inputs []Input) (ResultPublished, bool) {
	if !bytes.Equal(Digest(rows, inputs), ev.Digest) {
		return ev, false
	}
	ev.Rows, ev.Inputs = rows, slices.Clone(inputs)
	slices.SortFunc(ev.Inputs, func(a, b Input) int { return cmp.Compare(a.Entry, b.Entry) })
	return ev, true
}

// Joiner puts results together from a journal's events, in order, for whoever has no state.
type Joiner struct {
	first  ResultPart
	parts  uint32
	rows   []Row
	inputs []Input
}

// Take takes the next event. A result that is complete with it comes back whole; ok is false for any other event.
func (j *Joiner) Take(ev Event) (whole ResultPublished, ok bool, err error) {
	switch ev := ev.(type) {
	case ResultPart:
		if ev.Part == 1 {
			*j = Joiner{first: ResultPart{Version: ev.Version, JournalVersion: ev.JournalVersion}}
		}
		if ev.Version != j.first.Version || ev.JournalVersion != j.first.JournalVersion || ev.Part != j.parts+1 {
			return ResultPublished{}, false, ErrParts.With("part %d of version %d follows %d parts of version %d", ev.Part, ev.Version, j.parts, j.first.Version)
		}
		j.parts++
		j.rows, j.inputs = append(j.rows, ev.Rows...), append(j.inputs, ev.Inputs...)
	case ResultPublished:
		if ev.Parts == 0 {
			return ev, true, nil
		}
		if ev.Parts != j.parts || ev.Version != j.first.Version || ev.JournalVersion != j.first.JournalVersion {
			return ev, false, ErrParts.With("version %d names %d parts, %d of version %d are there", ev.Version, ev.Parts, j.parts, j.first.Version)
		}
		if whole, ok = joined(ev, j.rows, j.inputs); !ok {
			return ev, false, ErrParts.With("version %d: the digest of its rows is another one", ev.Version)
		}
		*j = Joiner{}
		return whole, true, nil
	}
	return ResultPublished{}, false, nil
}

// changesResult reports whether an event may change what Standings would say, so that parts computed before it do not
// belong together with parts computed after it.
func changesResult(ev Event) bool {
	switch ev := ev.(type) {
	case Opened, Fenced, ResultPart, ResultPublished:
		return false
	case StatusChanged:
		return ev.Reason != statusOfResult
	}
	return true
}

// restart gives up an attempt: its parts are never closed. What it was to be is kept.
func (p *Publication) restart() {
	p.Base, p.Parts, p.Last, p.Rows, p.Inputs = 0, 0, 0, nil, nil
}

// Draft is a result computed from a state, of which parts are still to be journalled. Only what was computed: whoever has
// none pays for computing it.
type Draft struct {
	base   uint64
	begun  uint32 // version of the result
	rows   []Row
	inputs map[uint32]Input
}

// DraftFor is a draft of what Proceed would publish, the one held if that is still of this attempt, or nil if it would
// publish nothing.
func DraftFor(s *State, c Proceed, held *Draft) *Draft {
	switch {
	case s.due(c) != publish:
		return nil
	case held.of(s):
		return held
	}
	return s.draft()
}

// of reports whether the draft is the attempt's under way, or of this very state.
func (d *Draft) of(s *State) bool {
	if d == nil || d.begun != s.nextResult() {
		return false
	}
	if p := s.Publishing; p != nil && p.Base != 0 {
		return d.base == p.Base
	}
	return d.base == s.Version
}

func (s *State) nextResult() uint32 {
	if s.Result == nil {
		return 1
	}
	return s.Result.Version + 1
}

// draft computes the result. Of an attempt under way it is the same, for nothing that counts has happened since; if this
// build finds other rows than those journalled, it is a new attempt.
func (s *State) draft() *Draft {
	d := &Draft{base: s.Version, begun: s.nextResult(), inputs: make(map[uint32]Input, len(s.entries))}
	var inputs []Input
	for _, e := range s.entries {
		if e.Answered > 0 {
			inputs = append(inputs, e.Input)
			d.inputs[e.Number] = e.Input
		}
	}
	d.rows = standings(s.Course, s.Definition.RankBy, s.CutoffAt, Starters(s), inputs)
	if p := s.Publishing; p != nil && p.Base != 0 && (step.RuleResultOneState.Off() || d.beginsWith(p)) {
		d.base = p.Base
	}
	return d
}

// beginsWith reports whether what is journalled is the beginning of the draft.
func (d *Draft) beginsWith(p *Publication) bool {
	if len(p.Rows) > len(d.rows) {
		return false
	}
	rows := d.rows[:len(p.Rows)]
	return bytes.Equal(Digest(rows, d.inputsOf(rows)), Digest(p.Rows, p.Inputs))
}

func (d *Draft) inputsOf(rows []Row) []Input {
	var all []Input
	for i := range rows {
		if in, ok := d.inputs[rows[i].Entry]; ok {
			all = append(all, in)
		}
	}
	return all
}

// fit is how many rows from the k-th on fit into limit bytes with what belongs to them, at least one.
func (d *Draft) fit(k, limit int) int {
	n, size := 0, 0
	for ; k+n < len(d.rows); n++ {
		r := &d.rows[k+n]
		size += rowBytesOf(r.Category, len(r.Gates)) + statusBytes
		if in, ok := d.inputs[r.Entry]; ok {
			size += in.bytes()
		}
		if size > limit && n > 0 {
			break
		}
	}
	return n
}

// publishNext is the result if it is small, and its next part or its closing event if it is not.
func (s *State) publishNext(d *Draft, limit int, want Publication) []Event {
	if !d.of(s) {
		d = s.draft()
	}
	if limit <= 0 || limit > MaxResultBytes {
		limit = MaxResultBytes
	}
	p := s.Publishing
	if p == nil || p.Base == 0 || p.Base != d.base {
		if d.fit(0, limit) == len(d.rows) {
			return s.inOne(d, want)
		}
		p = &Publication{Version: d.begun, Status: want.Status, Why: want.Why, At: want.At, Base: d.base}
	}
	k := len(p.Rows)
	if k < len(d.rows) && (p.Parts == 0 || !step.RuleResultCloses.Off()) {
		rows := d.rows[k : k+d.fit(k, limit)]
		return append(s.statuses(rows), ResultPart{Version: p.Version, Status: p.Status, Part: p.Parts + 1, Rows: rows, Inputs: d.inputsOf(rows),
			JournalVersion: p.Base, Why: p.Why, At: p.At})
	}
	return []Event{ResultPublished{Version: p.Version, Status: p.Status, RulesVersion: s.RulesVersion, JournalVersion: p.Base, Why: p.Why, At: p.At,
		Parts: p.Parts, Digest: Digest(p.Rows, p.Inputs)}}
}

// inOne is a result that one event holds.
func (s *State) inOne(d *Draft, want Publication) []Event {
	var inputs []Input
	for _, e := range s.entries {
		if in, ok := d.inputs[e.Number]; ok {
			inputs = append(inputs, in)
		}
	}
	byEntry := slices.Clone(d.rows)
	slices.SortFunc(byEntry, func(a, b Row) int { return cmp.Compare(a.Entry, b.Entry) })
	return append(s.statuses(byEntry), ResultPublished{Version: d.begun, Status: want.Status, RulesVersion: s.RulesVersion, Rows: d.rows, Inputs: inputs,
		JournalVersion: d.base, Why: want.Why, At: want.At})
}

// statusOfResult is the reason of a status that follows from a result.
const statusOfResult = "result"

// statuses are the events that make entries what their rows say.
func (s *State) statuses(rows []Row) []Event {
	var evs []Event
	for i := range rows {
		e := s.byNumber[rows[i].Entry]
		if e.Ruling == 0 && !e.Withdrawn && rows[i].Status != e.Ran {
			evs = append(evs, StatusChanged{e.Number, rows[i].Status, statusOfResult})
		}
	}
	return evs
}

// Digest is SHA-256 over rows and their inputs in canonical form: each field in the order of its declaration, numbers as
// varints, texts and lists behind their length. Stored: it never changes, fields are only added where they are not zero.
func Digest(rows []Row, inputs []Input) []byte {
	d := digester{h: sha256.New()}
	d.num(len(rows))
	for i := range rows {
		d.row(&rows[i])
	}
	d.num(len(inputs))
	for i := range inputs {
		d.input(&inputs[i])
	}
	d.flush()
	return d.h.Sum(nil)
}

type digester struct {
	h hash.Hash
	b []byte
}

func (d *digester) flush() {
	_, _ = d.h.Write(d.b) // a hash takes everything
	d.b = d.b[:0]
}

func (d *digester) num(n int)     { d.b = binary.AppendVarint(d.b, int64(n)) }
func (d *digester) i64(n int64)   { d.b = binary.AppendVarint(d.b, n) }
func (d *digester) u64(n uint64)  { d.b = binary.AppendUvarint(d.b, n) }
func (d *digester) text(s string) { d.b = append(binary.AppendUvarint(d.b, uint64(len(s))), s...) }
func (d *digester) bool(v bool) {
	if v {
		d.b = append(d.b, 1)
	} else {
		d.b = append(d.b, 0)
	}
}

func (d *digester) gates(gates []GateTime) {
	d.num(len(gates))
	for _, g := range gates {
		d.u64(uint64(g.Gate))
		d.i64(int64(g.At))
	}
}

func (d *digester) row(r *Row) {
	d.u64(uint64(r.Entry))
	d.u64(uint64(r.Place))
	d.u64(uint64(r.Status))
	d.bool(r.UnderReview)
	d.i64(int64(r.Start))
	d.i64(int64(r.Finish))
	d.i64(int64(r.Gun))
	d.i64(int64(r.Net))
	d.i64(int64(r.Penalty))
	d.gates(r.Gates)
	d.u64(uint64(r.Heat))
	d.text(r.Category)
	d.u64(uint64(r.PlaceNet))
	d.u64(uint64(r.PlaceGun))
	d.bool(r.Disputed)
	d.flush()
}

// input leaves the gates out: they are those of its row.
func (d *digester) input(in *Input) {
	d.u64(uint64(in.Entry))
	d.text(in.Training)
	d.num(len(in.Streams))
	for _, x := range in.Streams {
		d.text(x.Device)
		d.text(x.Stream)
		d.u64(x.Through)
		d.u64(x.FactsVersion)
		d.text(string(x.Digest))
	}
	d.text(string(in.Recording))
	d.bool(in.Unanswered)
	d.num(len(in.Flags))
	for _, f := range in.Flags {
		d.text(f)
	}
	d.u64(in.BindingVersion)
	d.flush()
}
