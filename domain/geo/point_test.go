package geo_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"paceline/domain/geo"
	"paceline/domain/unit"
)

func TestParseDegrees(t *testing.T) {
	for _, c := range []struct {
		text   string
		digits int
		want   int64
	}{
		{"53.55283171869814395904541015625", 12, 53_552_831_718_698},
		{"53.55283171869814395904541015625", 13, 535_528_317_186_981},
		{"53.55283171869814395904541015625", 7, 535_528_317},
		{"9.80252008885", 7, 98_025_201},
		{"-0.00000005", 7, -1},
		{"-0.00000004999999999", 7, 0},
		{"+12", 7, 120_000_000},
		{"12.", 7, 120_000_000},
		{"0012.5", 1, 125},
		{"179.9999999", 0, 180},
		{"180", 16, 1_800_000_000_000_000_000},
	} {
		if got, err := geo.ParseDegrees(c.text, c.digits); err != nil || got != c.want {
			t.Errorf("ParseDegrees(%q, %d) = %d %v, want %d", c.text, c.digits, got, err, c.want)
		}
	}
	for _, text := range []string{"", "-", ".", ".5", "1.2.3", "1e5", "NaN", "Inf", "12,5", " 1", "1 ", "361", "99999999999999999999", "--1", "٣"} {
		if got, err := geo.ParseDegrees(text, 7); !errors.Is(err, geo.ErrDegrees) {
			t.Errorf("ParseDegrees(%q) = %d %v, want %v", text, got, err, geo.ErrDegrees)
		}
	}
	for _, digits := range []int{-1, 17} {
		if _, err := geo.ParseDegrees("1.5", digits); !errors.Is(err, geo.ErrDegrees) {
			t.Errorf("ParseDegrees with %d digits: %v, want %v", digits, err, geo.ErrDegrees)
		}
	}
}

func TestParseDegreesReadsWhatIsPrinted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Int64Range(-180*1e7, 180*1e7).Draw(t, "v")
		sign, m := "", v
		if v < 0 {
			sign, m = "-", -v
		}
		text := fmt.Sprintf("%s%d.%07d", sign, m/1e7, m%1e7)
		if got, err := geo.ParseDegrees(text, geo.E7); err != nil || got != v {
			t.Fatalf("ParseDegrees(%q) = %d %v, want %d", text, got, err, v)
		}
	})
}

func FuzzParseDegrees(f *testing.F) {
	f.Add("53.55283171869814395904541015625", 12)
	f.Add("-.5", 0)
	f.Fuzz(func(t *testing.T, text string, digits int) {
		v, err := geo.ParseDegrees(text, digits)
		if err == nil && math.Abs(float64(v)) > 361*math.Pow10(digits) {
			t.Fatalf("ParseDegrees(%q, %d) = %d is out of range", text, digits, v)
		}
	})
}

func TestDistance(t *testing.T) {
	degree := unit.DistanceMm(math.Round(math.Pi / 180 * geo.EarthRadiusM * 1000))
	for _, c := range []struct {
		name string
		p, q geo.Point
		want unit.DistanceMm
	}{
		{"nothing", geo.Degrees(53, 9), geo.Degrees(53, 9), 0},
		{"a degree of latitude", geo.Degrees(53, 9), geo.Degrees(54, 9), degree},
		{"a degree of the equator", geo.Degrees(0, -0.5), geo.Degrees(0, 0.5), degree},
		{"a degree at 60 north is half", geo.Degrees(60, 9), geo.Degrees(60, 10), 55_595_935},
		{"to the antipode", geo.Degrees(0, 0), geo.Degrees(0, 180), 20_015_086_796},
		{"one e7 of latitude", geo.Point{}, geo.Point{Lat: 1}, 11},
	} {
		got := geo.DistanceMm(c.p, c.q)
		if d := got - c.want; d < -1000 || d > 1000 || c.name != "a degree at 60 north is half" && d != 0 {
			t.Errorf("%s: DistanceMm = %d, want %d", c.name, got, c.want)
		}
		if back := geo.DistanceMm(c.q, c.p); back != got {
			t.Errorf("%s: the way back is %d, want %d", c.name, back, got)
		}
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		sport geo.Sport
		step  unit.DistanceMm
		took  unit.DurationMs
		want  bool
	}{
		{geo.Run, 25_000, 1000, true},
		{geo.Run, 25_001, 1000, false},
		{geo.Run, 0, 0, true},
		{geo.Run, 1, 0, false},
		{geo.Run, 1, -1000, false},
		{geo.Run, -1, 1000, false},
		{geo.Swim, 7_000, 1000, false},
		{geo.Ride, 60_000, 1000, true},
		{"sailing", 80_000, 1000, true},
		{"", 80_001, 1000, false},
		{geo.Other, math.MaxInt64, 1000, false},
	} {
		if got := geo.LimitsOf(c.sport).Plausible(c.step, c.took); got != c.want {
			t.Errorf("%s: Plausible(%d mm, %d ms) = %v, want %v", c.sport, c.step, c.took, got, c.want)
		}
	}
}
