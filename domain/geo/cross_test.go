package geo_test

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"paceline/domain/geo"
	"paceline/domain/unit"
)

// oracleCross is the definition in math/big rationals, line by line.
func oracleCross(g *geo.Gate, p0 geo.Point, t0 unit.InstantMs, p1 geo.Point, t1 unit.InstantMs) (unit.InstantUs, int, bool) {
	sub := func(a, b int64) *big.Int { return new(big.Int).Sub(big.NewInt(a), big.NewInt(b)) }
	product := func(ax, ay, bx, by *big.Int) *big.Int {
		return new(big.Int).Sub(new(big.Int).Mul(ax, by), new(big.Int).Mul(ay, bx))
	}
	dx, dy := sub(p1.Lon, p0.Lon), sub(p1.Lat, p0.Lat)
	gx, gy := sub(g.B.Lon, g.A.Lon), sub(g.B.Lat, g.A.Lat)
	ax, ay := sub(g.A.Lon, p0.Lon), sub(g.A.Lat, p0.Lat)
	den := product(dx, dy, gx, gy)
	if den.Sign() == 0 || t1 < t0 {
		return 0, 0, false
	}
	u, v := new(big.Rat).SetFrac(product(ax, ay, gx, gy), den), new(big.Rat).SetFrac(product(ax, ay, dx, dy), den)
	one := big.NewRat(1, 1)
	if u.Sign() < 0 || u.Cmp(one) >= 0 || v.Sign() < 0 || v.Cmp(one) > 0 {
		return 0, 0, false
	}
	at := new(big.Rat).Mul(u, new(big.Rat).SetInt64(int64(t1.Us()-t0.Us())))
	at.Add(at, new(big.Rat).SetInt64(int64(t0.Us())))
	floor := new(big.Int).Div(at.Num(), at.Denom()) // Euclidean: the floor, as the denominator is positive
	return unit.InstantUs(floor.Int64()), den.Sign(), true
}

func TestCross(t *testing.T) {
	gate := geo.Gate{A: geo.Point{Lat: -10}, B: geo.Point{Lat: 10}} // a meridian: from left to right is east
	at := func(lat, lon int64) geo.Point { return geo.Point{Lat: lat, Lon: lon} }
	for _, c := range []struct {
		name   string
		p0, p1 geo.Point
		t0, t1 unit.InstantMs
		at     unit.InstantUs
		dir    int
	}{
		{"east through the middle", at(0, -5), at(0, 5), 1000, 2000, 1_500_000, 1},
		{"west through the middle", at(0, 5), at(0, -5), 1000, 2000, 1_500_000, -1},
		{"a third of the way, floor", at(1, -1), at(1, 2), 0, 1, 333, 1},
		{"before 1970 the floor is still below", at(1, -1), at(1, 2), -1, 0, -667, 1},
		{"from the line", at(0, 0), at(0, 5), 1000, 2000, 1_000_000, 1},
		{"onto the line is left to the next step", at(0, -5), at(0, 0), 1000, 2000, 0, 0},
		{"through the end point", at(10, -5), at(10, 5), 0, 10, 5000, 1},
		{"just past the end point", at(11, -5), at(11, 5), 0, 10, 0, 0},
		{"short of the line", at(0, -5), at(0, -1), 0, 10, 0, 0},
		{"beyond the line", at(0, 1), at(0, 5), 0, 10, 0, 0},
		{"along the line", at(-5, 0), at(5, 0), 0, 10, 0, 0},
		{"standing on it", at(0, 0), at(0, 0), 0, 10, 0, 0},
		{"two samples of one instant", at(0, -5), at(0, 5), 7, 7, 7000, 1},
		{"back in time", at(0, -5), at(0, 5), 8, 7, 0, 0},
	} {
		got, dir, ok := geo.Cross(&gate, c.p0, c.t0, c.p1, c.t1)
		if got != c.at || dir != c.dir || ok != (c.dir != 0) {
			t.Errorf("%s: Cross = %d %d %v, want %d %d", c.name, got, dir, ok, c.at, c.dir)
		}
	}
}

// near draws coordinates of which many coincide, lie on lines with others, or are as large as can be.
func near(t *rapid.T, label string) geo.Point {
	r := rapid.SampledFrom([]int64{4, 1000, 1 << 31, 180e12, 1<<62 - 1}).Draw(t, label+" range")
	return geo.Point{Lat: rapid.Int64Range(-r, r).Draw(t, label+" lat"), Lon: rapid.Int64Range(-r, r).Draw(t, label+" lon")}
}

func TestCrossIsItsDefinition(t *testing.T) {
	crossed := 0
	rapid.Check(t, func(t *rapid.T) {
		g := geo.Gate{A: near(t, "A"), B: near(t, "B")}
		p0, p1 := near(t, "p0"), near(t, "p1")
		t0 := unit.InstantMs(rapid.Int64Range(-1e12, 4e12).Draw(t, "t0"))
		t1 := t0 + unit.InstantMs(rapid.Int64Range(-1, 1e10).Draw(t, "took"))
		wantAt, wantDir, want := oracleCross(&g, p0, t0, p1, t1)
		at, dir, ok := geo.Cross(&g, p0, t0, p1, t1)
		if at != wantAt || dir != wantDir || ok != want {
			t.Fatalf("Cross = %d %d %v, want %d %d %v", at, dir, ok, wantAt, wantDir, want)
		}
		if ok {
			crossed++
		}
	})
	if crossed == 0 {
		t.Error("no drawn step crossed: the test says nothing")
	}
}

// The ratio does not change under scaling, so a finer scale of the same places gives the same instant.
func TestCrossScales(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		point := func(label string) geo.Point {
			return geo.Point{Lat: rapid.Int64Range(-50, 50).Draw(t, label+" lat"), Lon: rapid.Int64Range(-50, 50).Draw(t, label+" lon")}
		}
		g := geo.Gate{A: point("A"), B: point("B")}
		p0, p1 := point("p0"), point("p1")
		k := rapid.Int64Range(1, 1e15).Draw(t, "scale")
		up := func(p geo.Point) geo.Point { return geo.Point{Lat: p.Lat * k, Lon: p.Lon * k} }
		at, dir, ok := geo.Cross(&g, p0, 0, p1, 5000)
		fine := geo.Gate{A: up(g.A), B: up(g.B)}
		at2, dir2, ok2 := geo.Cross(&fine, up(p0), 0, up(p1), 5000)
		if at != at2 || dir != dir2 || ok != ok2 {
			t.Fatalf("Cross = %d %d %v, %d times finer %d %d %v", at, dir, ok, k, at2, dir2, ok2)
		}
	})
}

// The way back crosses in the other direction, at the mirrored share of the time (but for an end on the line).
func TestCrossReversed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := geo.Gate{A: near(t, "A"), B: near(t, "B")}
		p0, p1 := near(t, "p0"), near(t, "p1")
		at, dir, ok := geo.Cross(&g, p0, 0, p1, 9000)
		back, dirBack, okBack := geo.Cross(&g, p1, 0, p0, 9000)
		turned := geo.Gate{A: g.B, B: g.A}
		if at2, dir2, ok2 := geo.Cross(&turned, p0, 0, p1, 9000); at2 != at || dir2 != -dir || ok2 != ok {
			t.Fatalf("the gate turned round: %d %d %v, want %d %d %v", at2, dir2, ok2, at, -dir, ok)
		}
		if !ok || !okBack {
			return
		}
		if dir != -dirBack {
			t.Fatalf("there %d, back %d", dir, dirBack)
		}
		if sum := at + back; sum != 9_000_000 && sum != 8_999_999 { // two floors
			t.Fatalf("there at %d, back at %d", at, back)
		}
	})
}

// A step cut in two at one of its points crosses exactly once if the whole does, and not otherwise.
func TestCrossOfACutStep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := rapid.Int64Range(-6, 6)
		point := func(label string) geo.Point {
			return geo.Point{Lat: small.Draw(t, label+" lat"), Lon: small.Draw(t, label+" lon")}
		}
		g := geo.Gate{A: point("A"), B: point("B")}
		p0, part := point("p0"), point("part")
		n := rapid.Int64Range(1, 6).Draw(t, "parts")
		k := rapid.Int64Range(0, n).Draw(t, "cut after")
		p1 := geo.Point{Lat: p0.Lat + n*part.Lat, Lon: p0.Lon + n*part.Lon}
		cut := geo.Point{Lat: p0.Lat + k*part.Lat, Lon: p0.Lon + k*part.Lon}
		at, dir, whole := geo.Cross(&g, p0, 0, p1, unit.InstantMs(n*1000))
		at1, dir1, first := geo.Cross(&g, p0, 0, cut, unit.InstantMs(k*1000))
		at2, dir2, second := geo.Cross(&g, cut, unit.InstantMs(k*1000), p1, unit.InstantMs(n*1000))
		if first && second || whole != (first || second) {
			t.Fatalf("whole %v, parts %v %v", whole, first, second)
		}
		if whole && (at != at1+at2 || dir != dir1+dir2) { // the part that does not cross says 0
			t.Fatalf("whole %d %d, parts %d %d, %d %d", at, dir, at1, dir1, at2, dir2)
		}
	})
}

func FuzzCross(f *testing.F) {
	f.Add(int64(-10), int64(0), int64(10), int64(0), int64(0), int64(-5), int64(0), int64(5), int64(0), int64(1000))
	f.Add(int64(1<<62-1), int64(0), int64(1-1<<62), int64(1), int64(3), int64(1-1<<62), int64(7), int64(1<<62-1), int64(-5), int64(86_400_000))
	f.Fuzz(func(t *testing.T, aLat, aLon, bLat, bLon, lat0, lon0, lat1, lon1, from, took int64) {
		fold := func(v int64) int64 { return v % (1 << 62) }
		g := geo.Gate{A: geo.Point{Lat: fold(aLat), Lon: fold(aLon)}, B: geo.Point{Lat: fold(bLat), Lon: fold(bLon)}}
		p0, p1 := geo.Point{Lat: fold(lat0), Lon: fold(lon0)}, geo.Point{Lat: fold(lat1), Lon: fold(lon1)}
		t0 := unit.InstantMs(from % 1e14)
		t1 := t0 + unit.InstantMs(took%1e14)
		wantAt, wantDir, want := oracleCross(&g, p0, t0, p1, t1)
		at, dir, ok := geo.Cross(&g, p0, t0, p1, t1)
		if at != wantAt || dir != wantDir || ok != want {
			t.Fatalf("Cross = %d %d %v, want %d %d %v", at, dir, ok, wantAt, wantDir, want)
		}
	})
}

func BenchmarkCross(b *testing.B) {
	g := regattaPlan().Gates[1]
	p0, p1 := geo.Degrees(53.561234, 9.7004), geo.Degrees(53.561274, 9.6998)
	finer := finerGates([]geo.Gate{g}, 12)[0]
	f0, f1 := geo.Point{Lat: p0.Lat * 1e5, Lon: p0.Lon * 1e5}, geo.Point{Lat: p1.Lat * 1e5, Lon: p1.Lon * 1e5}
	for _, c := range []struct {
		name   string
		g      *geo.Gate
		p0, p1 geo.Point
	}{{"e7", &g, p0, p1}, {"e12", &finer, f0, f1}, {"e7 missed", &g, p1, p1}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				geo.Cross(c.g, c.p0, 1_718_000_000_000, c.p1, 1_718_000_003_000)
			}
		})
	}
}
