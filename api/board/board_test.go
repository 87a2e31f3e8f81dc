package board_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"paceline/api/board"
	livev1 "paceline/api/gen/paceline/live/v1"
)

// TestDeltaRowHasEveryField: a field that is added to BoardRow and forgotten here would be lost in every delta.
func TestDeltaRowHasEveryField(t *testing.T) {
	full := &livev1.BoardRow{}
	m := full.ProtoReflect()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch f.Kind() {
		case protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString("x"))
		case protoreflect.BoolKind:
			m.Set(f, protoreflect.ValueOfBool(true))
		case protoreflect.EnumKind:
			m.Set(f, protoreflect.ValueOfEnum(2))
		case protoreflect.Uint32Kind:
			m.Set(f, protoreflect.ValueOfUint32(uint32(i)+1))
		case protoreflect.Sint32Kind:
			m.Set(f, protoreflect.ValueOfInt32(int32(i)+1))
		default:
			m.Set(f, protoreflect.ValueOfInt64(int64(i)+1))
		}
	}
	full.PositionAgeMs = nil // only a delta has it
	var v board.View
	v.Change(&livev1.Board{AtMs: 70, Rows: []*livev1.BoardRow{board.DeltaRow(nil, full, 70)}})
	if got := v.Rows[full.Entry]; !proto.Equal(got, full) {
		t.Errorf("a row comes back as %v, want %v", got, full)
	}
}

func TestWhatADeltaCannotSay(t *testing.T) {
	row := func(f func(*livev1.BoardRow)) *livev1.BoardRow {
		r := &livev1.BoardRow{Entry: 1, Category: "w40", Heat: 2, GatesPassed: 1, GateAtMs: 5}
		f(r)
		return r
	}
	same := row(func(*livev1.BoardRow) {})
	for name, tt := range map[string]struct {
		is   *livev1.BoardRow
		says bool
	}{
		"the same":                     {same, true},
		"another category":             {row(func(r *livev1.BoardRow) { r.Category = "open" }), true},
		"no category":                  {row(func(r *livev1.BoardRow) { r.Category = "" }), false},
		"no heat":                      {row(func(r *livev1.BoardRow) { r.Heat = 0 }), false},
		"no gate any more":             {row(func(r *livev1.BoardRow) { r.GatesPassed, r.GateAtMs = 0, 0 }), true},
		"a gate passed nobody knew at": {row(func(r *livev1.BoardRow) { r.GateAtMs = 0 }), false},
	} {
		if got := board.SaysRow(same, tt.is); got != tt.says {
			t.Errorf("%s: says = %v, want %v", name, got, tt.says)
		}
		if !board.SaysRow(nil, tt.is) {
			t.Errorf("%s: a new row is always said whole", name)
		}
	}
	head := &livev1.Board{State: 5, GunAtMs: 1, CourseLengthMm: 2, Entries: 3, Gates: 4}
	if !board.Says(&livev1.Board{}, head) || !board.Says(head, head) {
		t.Error("a header that only gains cannot be said")
	}
	for i, less := range []func(*livev1.Board){
		func(b *livev1.Board) { b.State = 0 }, func(b *livev1.Board) { b.GunAtMs = 0 }, func(b *livev1.Board) { b.CourseLengthMm = 0 },
		func(b *livev1.Board) { b.Entries = 0 }, func(b *livev1.Board) { b.Gates = 0 },
	} {
		is := proto.Clone(head).(*livev1.Board)
		if less(is); board.Says(head, is) {
			t.Errorf("header field %d goes back to nothing, and a delta says it", i)
		}
	}
}

// TestViewIsTheBoard: whatever a board was and is, a client shows it after the delta, if a delta may say it.
func TestViewIsTheBoard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		was := drawn(t)
		var v board.View
		v.Take(overTheWire(t, was))
		for range rapid.IntRange(1, 5).Draw(t, "deltas") {
			is := drawn(t)
			before := map[uint32]*livev1.BoardRow{}
			for _, r := range was.Rows {
				before[r.Entry] = r
			}
			d, says := board.Delta(was, is), board.Says(was, is)
			for _, r := range is.Rows {
				if w := before[r.Entry]; w == nil || !proto.Equal(w, r) {
					d.Rows = append(d.Rows, board.DeltaRow(w, r, is.AtMs))
					says = says && board.SaysRow(w, r)
				}
				delete(before, r.Entry)
			}
			for e := range before {
				d.Removed = append(d.Removed, e)
			}
			if says {
				v.Change(overTheWire(t, d))
			} else {
				v.Take(overTheWire(t, is))
			}
			shows(t, &v, is)
			was = is
		}
	})
}

func shows(t *rapid.T, v *board.View, b *livev1.Board) {
	head := proto.Clone(b).(*livev1.Board)
	head.Rows = nil
	if !proto.Equal(v.Head, head) {
		t.Fatalf("header %v, want %v", v.Head, head)
	}
	if len(v.Rows) != len(b.Rows) {
		t.Fatalf("%d rows, want %d", len(v.Rows), len(b.Rows))
	}
	for _, r := range b.Rows {
		if !proto.Equal(v.Rows[r.Entry], r) {
			t.Fatalf("row %v, want %v", v.Rows[r.Entry], r)
		}
	}
}

func overTheWire(t *rapid.T, b *livev1.Board) *livev1.Board {
	bytes, err := proto.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	got := &livev1.Board{}
	if err := proto.Unmarshal(bytes, got); err != nil {
		t.Fatal(err)
	}
	return got
}

func drawn(t *rapid.T) *livev1.Board {
	small := func(name string, most int) int64 { return int64(rapid.IntRange(0, most).Draw(t, name)) }
	b := &livev1.Board{
		State: livev1.RaceState(small("state", 3)), GunAtMs: small("gun", 2), AtMs: small("at", 1<<40), CourseLengthMm: small("length", 2),
		Entries: uint32(small("entries", 3)), Gates: uint32(small("gates", 2)),
	}
	for e := range uint32(4) {
		if small("there", 4) == 0 {
			continue
		}
		b.Rows = append(b.Rows, &livev1.BoardRow{
			Entry: e, Place: uint32(small("place", 3)), GatesPassed: uint32(small("passed", 2)), GateAtMs: small("gate", 2), GapMs: small("gap", 2),
			ProgressMm: small("progress", 2), Unconfirmed: small("unconfirmed", 1) == 1, Heat: uint32(small("heat", 2)),
			Category: []string{"", "open", "w40"}[small("category", 2)], PositionAtMs: small("position", 1<<40), LatE7: int32(small("lat", 2)) - 1,
		})
	}
	return b
}
