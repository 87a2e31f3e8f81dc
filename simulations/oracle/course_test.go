package oracle

import (
	"math"
	"reflect"
	"testing"
)

func TestLapsAreUnrolled(t *testing.T) {
	gate := func(at int64, start, mandatory bool) Gate { return Gate{AtMm: at, Start: start, Mandatory: mandatory} }
	lap := []Gate{gate(0, true, false), gate(1, false, false), gate(2, false, true), gate(3, false, false)}
	var got []Gate
	for _, v := range NewCourse(Track{Sport: "run", Laps: 2, Gates: lap}).visits {
		got = append(got, gate(v.AtMm, v.Start, v.Mandatory))
	}
	want := []Gate{gate(0, true, true), gate(1, false, false), gate(2, false, true), gate(3, false, true), gate(1, false, false), gate(2, false, true), gate(3, false, true)}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("visits = %v, want %v", got, want)
	}
	if n := len(NewCourse(Track{Distance: true, Laps: 1, Gates: lap}).visits); n != 4 {
		t.Errorf("a distance has %d visits, want its 4 marks", n)
	}
}

// TestGreatCircle has lengths that follow from the radius alone.
func TestGreatCircle(t *testing.T) {
	quarter := int64(math.Round(math.Pi / 2 * 6_371_000_000))
	for _, tt := range []struct {
		p, q Point
		want int64
	}{
		{Point{0, 0}, Point{0, 0}, 0},
		{Point{0, 0}, Point{900_000_000, 0}, quarter},
		{Point{0, -450_000_000}, Point{0, 450_000_000}, quarter},
		{Point{0, 1_799_999_955}, Point{0, -1_799_999_955}, 1001}, // 90e-7° over the date line
		{Point{600_000_000, 0}, Point{600_000_000, 100}, 556},     // half as long as at the equator
	} {
		if got := greatCircleMm(tt.p, tt.q); got != tt.want {
			t.Errorf("greatCircleMm(%v, %v) = %d, want %d", tt.p, tt.q, got, tt.want)
		}
	}
}
