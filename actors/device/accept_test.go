package device

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/internal/testkit"
)

// opened is a stream with every channel but power declared, and a window of one hour from instant 1,000,000.
func opened(sport string) *StreamFacts {
	f := NewStreamFacts("s1")
	o := StreamOpened{Stream: "s1", Training: "u1/w1", Person: "u1", WindowFrom: 1_000_000, WindowTo: 4_600_000,
		LimitsVersion: 1, Sport: sport}
	for c := sample.Channel(1); c < sample.Channels; c++ {
		if c != sample.PowerW {
			o.Channels = append(o.Channels, ChannelSpec{c, sample.Measured})
		}
	}
	f.Apply(1, o)
	return f
}

// row is one sample to be: device time and values.
type row struct {
	at     unit.InstantMs
	values map[sample.Channel]int64
}

func batch(first uint64, rows ...row) *sample.Batch {
	b := &sample.Batch{FirstSeq: first}
	for i, r := range rows {
		b.AtMs = append(b.AtMs, r.at)
		for c := range b.Columns {
			v, ok := r.values[sample.Channel(c)]
			if !ok {
				continue
			}
			if b.Columns[c].Present == nil {
				b.Columns[c].Grow(len(rows))
			}
			b.Columns[c].Set(i, v)
		}
	}
	return b
}

func heart(at unit.InstantMs) row {
	return row{at, map[sample.Channel]int64{sample.HeartRateBpm: 140}}
}

func one(c sample.Channel, v int64) map[sample.Channel]int64 { return map[sample.Channel]int64{c: v} }

func TestAcceptOneSample(t *testing.T) {
	const at = 2_000_000
	pos := func(lat, lon int64) map[sample.Channel]int64 {
		return map[sample.Channel]int64{sample.LatE7: lat, sample.LonE7: lon}
	}
	tests := []struct {
		name  string
		sport string
		row   row
		want  sample.Refusal
	}{
		{"plain", "run", heart(at), sample.Accepted},
		{"nothing", "run", row{at, nil}, sample.NoValues},
		{"heart 25", "run", row{at, one(sample.HeartRateBpm, 25)}, sample.Accepted},
		{"heart 24", "run", row{at, one(sample.HeartRateBpm, 24)}, sample.OutOfRange},
		{"heart 230", "run", row{at, one(sample.HeartRateBpm, 230)}, sample.Accepted},
		{"heart 231", "run", row{at, one(sample.HeartRateBpm, 231)}, sample.OutOfRange},
		{"heart negative", "run", row{at, one(sample.HeartRateBpm, -1)}, sample.OutOfRange},
		{"run cadence 130 a leg", "run", row{at, one(sample.CadenceRpm, 130)}, sample.Accepted},
		{"run cadence 131 a leg", "run", row{at, one(sample.CadenceRpm, 131)}, sample.OutOfRange},
		{"ride cadence 200", "ride", row{at, one(sample.CadenceRpm, 200)}, sample.Accepted},
		{"ride cadence 201", "ride", row{at, one(sample.CadenceRpm, 201)}, sample.OutOfRange},
		{"row cadence 61", "row", row{at, one(sample.CadenceRpm, 61)}, sample.OutOfRange},
		{"row strokes 60.1", "row", row{at, one(sample.StrokeRateDeci, 601)}, sample.OutOfRange},
		{"run speed 12.5", "run", row{at, one(sample.SpeedMmS, 12_500)}, sample.Accepted},
		{"run speed 12.501", "run", row{at, one(sample.SpeedMmS, 12_501)}, sample.OutOfRange},
		{"sail is other: 40", "sail", row{at, one(sample.SpeedMmS, 40_000)}, sample.Accepted},
		{"no sport is other: 40.001", "", row{at, one(sample.SpeedMmS, 40_001)}, sample.OutOfRange},
		{"pole", "run", row{at, pos(90e7, 180e7)}, sample.Accepted},
		{"beyond the pole", "run", row{at, pos(90e7+1, 0)}, sample.OutOfRange},
		{"beyond the date line", "run", row{at, pos(0, -180e7-1)}, sample.OutOfRange},
		{"latitude alone", "run", row{at, one(sample.LatE7, 1)}, sample.HalfPosition},
		{"longitude alone", "run", row{at, one(sample.LonE7, 1)}, sample.HalfPosition},
		{"distance back to before zero", "run", row{at, one(sample.DistanceMm, -1)}, sample.OutOfRange},
		{"largest integer", "run", row{at, one(sample.EnergyJ, 1<<63-1)}, sample.OutOfRange},
		{"smallest integer", "run", row{at, one(sample.AltitudeMm, -1<<63)}, sample.OutOfRange},
		{"power was not declared", "ride", row{at, one(sample.PowerW, 200)}, sample.UndeclaredChannel},
		{"window's first ms", "run", heart(1_000_000), sample.Accepted},
		{"before the window", "run", heart(999_999), sample.OutsideWindow},
		{"window's last ms", "run", heart(4_600_000), sample.Accepted},
		{"after the window", "run", heart(4_600_001), sample.OutsideWindow},
		{"year 1901", "run", heart(-2_177_452_800_000), sample.OutsideWindow},
	}
	for _, tt := range tests {
		var tail Tail
		b := batch(1, tt.row)
		n := Accept(opened(tt.sport), &tail, b)
		if got := b.Mark(0); got != tt.want || (n == 1) != (tt.want != sample.Accepted) {
			t.Errorf("%s: mark %v, %d refused, want %v", tt.name, got, n, tt.want)
		}
	}
}

func TestAcceptKeepsTheGood(t *testing.T) {
	b := batch(1, heart(2_000_000), row{2_001_000, one(sample.HeartRateBpm, 300)}, heart(2_001_000),
		heart(2_001_000), heart(2_000_500), heart(2_002_000))
	var tail Tail
	n := Accept(opened("run"), &tail, b)
	want := []sample.Refusal{sample.Accepted, sample.OutOfRange, sample.Accepted, sample.TimeNotRising,
		sample.TimeNotRising, sample.Accepted}
	if n != 3 || !slices.Equal(b.Refused, want) {
		t.Errorf("%d refused, marks %v, want %v", n, b.Refused, want)
	}
	if Accept(opened("run"), &tail, batch(7, heart(2_002_000))) != 1 {
		t.Error("the same instant as the batch before was accepted: the tail was lost")
	}
}

// A clock that really went back is believed after 64 refusals, not for ever refused.
func TestAcceptBelievesAClockThatStaysBack(t *testing.T) {
	var tail Tail
	f := opened("run")
	if Accept(f, &tail, batch(1, heart(4_000_000))) != 0 {
		t.Fatal("the first sample was refused")
	}
	for i := range 70 {
		at := unit.InstantMs(2_000_000 + 1000*i)
		refused := Accept(f, &tail, batch(uint64(2+i), heart(at)))
		if want := i < 64; (refused == 1) != want {
			t.Fatalf("sample %d behind the jump: refused %d", i+1, refused)
		}
	}
}

func TestAcceptForgetsMarksThatCame(t *testing.T) {
	var tail Tail
	b := batch(1, heart(2_000_000), heart(2_001_000))
	b.Refused = []sample.Refusal{sample.OutOfRange, sample.NoValues}
	if n := Accept(opened("run"), &tail, b); n != 0 || b.Mark(0) != 0 || b.Mark(1) != 0 {
		t.Errorf("marks %v, %d refused", b.Refused, n)
	}
}

func TestLimitsVersionUnknown(t *testing.T) {
	if _, ok := LimitsOf(LimitsVersion+1, "run"); ok {
		t.Error("limits of a version that is not written yet")
	}
	if l, ok := LimitsOf(1, "anything"); !ok || l[sample.SpeedMmS] != (Bound{0, 40_000}) {
		t.Errorf("LimitsOf(1, anything) = %v, %v", l, ok)
	}
}

// drawStream makes samples that provoke every reason.
func drawStream(t *rapid.T) *sample.Batch {
	n := rapid.IntRange(1, 300).Draw(t, "n")
	rows := make([]row, n)
	at := unit.InstantMs(2_000_000)
	for i := range rows {
		switch rapid.IntRange(0, 9).Draw(t, "step") {
		case 0:
			at -= unit.InstantMs(rapid.IntRange(0, 1_500_000).Draw(t, "back"))
		case 1:
			at += unit.InstantMs(rapid.IntRange(0, 1_500_000).Draw(t, "jump"))
		default:
			at += 1000
		}
		rows[i] = row{at, map[sample.Channel]int64{}}
		for _, c := range []sample.Channel{sample.HeartRateBpm, sample.PowerW, sample.LatE7, sample.LonE7} {
			if rapid.IntRange(0, 19).Draw(t, "present") > 1 == (c != sample.PowerW) {
				rows[i].values[c] = int64(rapid.IntRange(20, 235).Draw(t, "value"))
			}
		}
	}
	return batch(1, rows...)
}

// However a stream is cut into batches, and from whichever 64 handled samples an activation starts again, the
// marks are the same.
func TestAcceptIsTheSameForAnyCut(t *testing.T) { rapid.Check(t, anyCut) }

func FuzzAccept(f *testing.F) { f.Fuzz(rapid.MakeFuzz(anyCut)) }

func anyCut(t *rapid.T) {
	f := opened("run")
	whole := drawStream(t)
	var tail Tail
	Accept(f, &tail, whole)
	cutTail := Tail{}
	for from := 0; from < whole.Len(); {
		to := min(whole.Len(), from+rapid.IntRange(1, 90).Draw(t, "cut"))
		piece := whole.Slice(from, to)
		piece.Refused = nil
		if rapid.Bool().Draw(t, "crash") {
			back := whole.Slice(max(0, from-rapid.IntRange(64, 512).Draw(t, "back")), from)
			cutTail = TailOf([]sample.Batch{back})
		}
		Accept(f, &cutTail, &piece)
		for i := range piece.Len() {
			if piece.Mark(i) != whole.Mark(from+i) {
				t.Fatalf("seq %d: %v in a cut %d..%d, %v in one", from+i+1, piece.Mark(i), from, to, whole.Mark(from+i))
			}
		}
		from = to
	}
}

func BenchmarkAccept(b *testing.B) {
	f := opened("run")
	rows := make([]row, 512)
	for i := range rows {
		rows[i] = row{unit.InstantMs(2_000_000 + 1000*i), map[sample.Channel]int64{sample.HeartRateBpm: 150,
			sample.LatE7: 530000000, sample.LonE7: 100000000, sample.SpeedMmS: 3500, sample.CadenceRpm: 85}}
	}
	frame := batch(1, rows...)
	b.ReportAllocs()
	report := testkit.CPU(b)
	for b.Loop() {
		var tail Tail
		if n := Accept(f, &tail, frame); n != 0 {
			b.Fatal(n)
		}
	}
	report()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/512, "ns/sample")
}

func TestAcceptAllocatesNothing(t *testing.T) {
	f := opened("run")
	frame := batch(1, heart(2_000_000), heart(2_001_000), heart(2_002_000))
	n := testing.AllocsPerRun(100, func() {
		var tail Tail
		Accept(f, &tail, frame)
	})
	if n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}
