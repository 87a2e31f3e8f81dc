package hub_test

import (
	"reflect"

	"google.golang.org/protobuf/proto"

	"paceline/api/board"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/auth"
	"paceline/gateway/hub"
	"paceline/gateway/wire"
)

// rig steps a hub and performs its outs by hand.
type rig struct {
	t      tester
	h      *hub.Hub
	now    step.Now
	sent   []step.Send
	timers map[string]unit.InstantMs
	reads  []any
	refuse error
}

func start(t tester) *rig {
	r := &rig{t: t, h: hub.New(hub.Config{Node: "n1"}), timers: map[string]unit.InstantMs{}}
	r.now = step.Now{Wall: 1_000_000, Node: 5_000_000}
	return r
}

func (r *rig) step(msg any) {
	for _, out := range r.h.Step(r.now, msg) {
		switch o := out.(type) {
		case hub.Publish:
			for _, s := range o.To {
				s.Offer(o.Frame)
			}
		case step.Send:
			r.sent = append(r.sent, o)
		case step.After:
			r.timers[o.Key] = o.At
		case hub.ReadFeed, hub.ReadRoster:
			r.reads = append(r.reads, o)
		case hub.Again:
			o.Slot.RetryHistory()
		case hub.Refuse:
			r.refuse = o.Err
		default:
			r.t.Fatalf("unknown out %T", out)
		}
	}
}

// pass lets wall time go by and rings the timers that are due.
func (r *rig) pass(d unit.DurationMs) {
	r.now.Wall = r.now.Wall.Add(d)
	for key, at := range r.timers {
		if at <= r.now.Wall {
			delete(r.timers, key)
			r.step(step.Tick{Key: key})
		}
	}
}

// interests takes what was sent since the last call.
func (r *rig) interests() []*clusterv1.Interest {
	var list []*clusterv1.Interest
	for _, s := range r.sent {
		list = append(list, s.Msg.(*clusterv1.Interest))
	}
	r.sent = nil
	return list
}

// viewer is a client of one cut: it believes what a correct client believes, and complains about what none may get.
type viewer struct {
	t              tester
	slot           *hub.Slot
	epoch, version uint64
	board          board.View
	sub            uint32 // 0: not named
	positions      map[uint32]*livev1.PositionRow
	roster         []*livev1.RosterRow
	items          []uint64
	workout        *livev1.Workout
	recovering     bool
	snapshots      int
	deltas         int
	events         int
	behind         []hub.Behind
	refused        error
}

func (v *viewer) Ready(*hub.Slot)                {}
func (v *viewer) Refused(_ *hub.Slot, err error) { v.refused = err }
func newViewer(t tester, e, ver uint64) *viewer {
	v := &viewer{t: t, epoch: e, version: ver}
	v.slot = hub.NewSlot(e, ver, v)
	return v
}

func (r *rig) subscribe(conn hub.Conn, topic, cut string, as auth.Principal) *viewer {
	r.t.Helper()
	v := newViewer(r.t, 0, 0)
	r.subscribeSlot(conn, topic, cut, as, v)
	return v
}

func (r *rig) subscribeSlot(conn hub.Conn, topic, cut string, as auth.Principal, v *viewer) {
	r.t.Helper()
	tp, err := wire.ParseTopic(topic)
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := wire.ParseCut(tp, cut)
	if err != nil {
		r.t.Fatal(err)
	}
	r.step(hub.Subscribe{Conn: conn, Topic: tp, Cut: c, Viewer: as, Training: "ann/w1", Slot: v.slot})
}

// takeDelta takes one frame, which must be a delta, and returns it as it was sent.
func (v *viewer) takeDelta() *livev1.Delta {
	v.t.Helper()
	m, err := wire.DecodeServer(wire.Proto, v.slot.Take(wire.Proto).Bytes)
	if err != nil || m.GetDelta() == nil {
		v.t.Fatalf("%v, %v, want a delta", m, err)
	}
	v.delta(m.GetDelta())
	return m.GetDelta()
}

// take takes everything the slot has, as a write loop with room does.
func (v *viewer) take() int {
	v.t.Helper()
	for n := 0; ; n++ {
		t := v.slot.Take(wire.Proto)
		if t.Behind != nil {
			v.behind = append(v.behind, *t.Behind)
		}
		if t.Bytes == nil {
			return n
		}
		m, err := wire.DecodeServer(wire.Proto, t.Bytes)
		if err != nil {
			v.t.Fatal(err)
		}
		if s := m.GetSnapshot(); s != nil {
			v.snapshot(s)
		} else if e := m.GetEvent(); e != nil {
			v.rises(1, e.Version)
			v.events++
			v.items = append(v.items, e.Version)
		} else {
			v.delta(m.GetDelta())
		}
	}
}

func (v *viewer) rises(epoch, version uint64) {
	v.t.Helper()
	if epoch < v.epoch || epoch == v.epoch && version <= v.version {
		v.t.Fatalf("the viewer goes from {%d %d} to {%d %d}", v.epoch, v.version, epoch, version)
	}
	v.epoch, v.version = epoch, version
}

func (v *viewer) snapshot(s *livev1.Snapshot) {
	v.t.Helper()
	v.rises(s.Epoch, s.Version)
	v.snapshots++
	v.sub = s.Sub
	if v.sub == 0 {
		v.t.Fatal("a snapshot gives topic and cut no number")
	}
	v.recovering = s.Recovering
	if b := s.GetBoard(); b != nil {
		v.board.Take(b)
	}
	if p := s.GetPositions(); p != nil {
		v.positions = map[uint32]*livev1.PositionRow{}
		for _, row := range p.Rows {
			v.positions[row.Entry] = row
		}
	}
	for _, i := range s.GetFeed().GetItems() {
		v.items = append(v.items, i.Version)
	}
	for _, i := range s.GetInbox().GetItems() {
		v.items = append(v.items, i.Version)
	}
	if r := s.GetRoster(); r != nil {
		v.roster = r.Rows
	}
	if w := s.GetWorkout(); w != nil {
		v.workout = w
	}
}

func (v *viewer) delta(d *livev1.Delta) {
	v.t.Helper()
	if d.Epoch != v.epoch || d.Base != v.version {
		v.t.Fatalf("a delta on {%d %d} came to a viewer at {%d %d}", d.Epoch, d.Base, v.epoch, v.version)
	}
	switch {
	case v.sub == 0 && (d.Topic == "" || d.Sub == 0):
		v.t.Fatalf("the first delta does not say what number %d stands for", d.Sub)
	case v.sub != 0 && (d.Sub != v.sub || d.Topic+d.Cut != ""):
		v.t.Fatalf("a delta of number %d and topic %q came to a viewer of number %d", d.Sub, d.Topic, v.sub)
	}
	v.sub = d.Sub
	v.rises(d.Epoch, d.Version)
	v.deltas++
	v.recovering = d.Recovering
	if b := d.GetBoard(); b != nil {
		for _, e := range b.Removed {
			if v.board.Rows[e] == nil {
				v.t.Fatalf("entry %d is removed from a cut that does not have it", e)
			}
		}
		v.board.Change(b)
	}
	for _, row := range d.GetPositions().GetRows() {
		v.positions[row.Entry] = row
	}
	for _, i := range d.GetFeed().GetItems() {
		v.items = append(v.items, i.Version)
	}
}

func (v *viewer) places() map[uint32]uint32 {
	m := map[uint32]uint32{}
	for e, row := range v.board.Rows {
		m[e] = row.Place
	}
	return m
}

func (v *viewer) wants(want map[uint32]uint32) {
	v.t.Helper()
	v.take()
	if got := v.places(); !reflect.DeepEqual(got, want) {
		v.t.Fatalf("places = %v, want %v", got, want)
	}
}

func update(t tester, epoch, version, base uint64, b *livev1.Board) *clusterv1.TopicUpdate {
	t.Helper()
	content, err := proto.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return &clusterv1.TopicUpdate{Topic: "competition/race/board", Epoch: epoch, Version: version, Base: base, Content: content}
}

// ranked is a board of these entries in this order.
func ranked(entries ...uint32) *livev1.Board {
	b := &livev1.Board{State: livev1.RaceState_RACE_STATE_RUNNING, CourseLengthMm: 10_000, Entries: uint32(len(entries))}
	for i, e := range entries {
		b.Rows = append(b.Rows, &livev1.BoardRow{Entry: e, Place: uint32(i + 1), GapMs: int64(i) * 1000, ProgressMm: 5000 - int64(i)*10, Category: category(e)})
	}
	return b
}

func category(e uint32) string { return []string{"open", "w40"}[e%2] }

const boardTopic = "competition/race/board"

var nobody = auth.Principal{}

// tester is a *testing.T or a *rapid.T.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}
