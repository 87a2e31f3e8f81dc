package track_test

import (
	"reflect"
	"testing"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
	"paceline/api/track"
	"paceline/domain/basis"
	"paceline/domain/course"
	"paceline/domain/geo"
)

func regatta() course.Track {
	const south, north = 533600000, 537600000
	gate := func(id string, k geo.GateKind) geo.Gate {
		return geo.Gate{ID: id, Kind: k, Mandatory: true, AtMm: geo.Unplaced}
	}
	return course.Track{Format: course.Line, Sport: "sail", Name: "Hamburg", CorridorMm: 2_000_000,
		Line: []geo.Point{geo.Degrees(53.5612, 9.76), geo.Degrees(53.5658, 9.70), geo.Degrees(53.5669, 9.67),
			geo.Degrees(53.5511, 9.70), geo.Degrees(53.5486, 9.76)},
		Gates: []geo.Gate{
			gate("G1", geo.StartGate).Westward(97600000, south, north), gate("G2", geo.SplitGate).Westward(97000000, south, north),
			gate("G3", geo.SplitGate).Westward(96700000, south, north), gate("G4", geo.SplitGate).Eastward(97000000, south, north),
			gate("G5", geo.FinishGate).Eastward(97600000, south, north)}}
}

func TestTrackThereAndBack(t *testing.T) {
	hilly := regatta()
	hilly.HeightsMm = []int64{0, 3000, 12_000, -400, 9_000_000}
	for _, tr := range []course.Track{regatta(), hilly, {Format: course.Distance, Sport: geo.Run, Name: "5 km", DistanceMm: 5_000_000}} {
		c, err := course.New(tr)
		if err != nil {
			t.Fatal(err)
		}
		if back := track.FromProto(track.ToProto(tr)); !reflect.DeepEqual(back, tr) {
			t.Errorf("as given: %+v\nwant %+v", back, tr)
		}
		again, err := course.New(track.FromProto(track.ToProto(c.Track())))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(again.Visits(), c.Visits()) {
			t.Errorf("visits %+v\nwant %+v", again.Visits(), c.Visits())
		}
	}
}

func TestGateWithoutPlaceIsLookedFor(t *testing.T) {
	p := track.ToProto(regatta())
	for _, g := range p.Gates {
		g.AtMm = 0
	}
	c, err := course.New(track.FromProto(p))
	if err != nil {
		t.Fatal(err)
	}
	want, _ := course.New(regatta())
	if !reflect.DeepEqual(c.Visits(), want.Visits()) {
		t.Errorf("visits %+v\nwant %+v", c.Visits(), want.Visits())
	}
}

func TestBasisThereAndBack(t *testing.T) {
	b := basis.Of(basis.StreamBasis{Device: "u/b", Stream: "1", FoldedThrough: 7, FactsVersion: 2},
		basis.StreamBasis{Device: "u/a", Stream: "2", FoldedThrough: 9, FactsVersion: 4})
	if got := track.BasisFrom(track.TrainingBasis(b)); !basis.Equal(got, b) {
		t.Errorf("%v", got)
	}
	if got := track.BasisFrom(track.CompetitionBasis(b)); !basis.Equal(got, b) {
		t.Errorf("%v", got)
	}
	if got := track.FromProto((*competitionv1.Track)(nil)); got.Format != 0 {
		t.Errorf("%+v", got)
	}
}
