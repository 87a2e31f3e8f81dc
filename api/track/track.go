package track

import (
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/unit"
)

// FromProto reads a track; nil is the empty track, which no course can be made of.
func FromProto(p *competitionv1.Track) course.Track {
	t := course.Track{
		Format: course.Format(p.GetFormat()), Sport: geo.Sport(p.GetSport()), Name: p.GetName(),
		Laps: int(p.GetLaps()), DistanceMm: unit.DistanceMm(p.GetDistanceMm()), CorridorMm: unit.DistanceMm(p.GetCorridorMm()),
	}
	for _, q := range p.GetLine() {
		t.Line = append(t.Line, point(q))
	}
	for _, h := range p.GetHeightMm() {
		t.HeightsMm = append(t.HeightsMm, int64(h))
	}
	for _, g := range p.GetGates() {
		at := unit.DistanceMm(g.GetAtMm())
		kind := geo.GateKind(min(max(g.GetKind(), 0), 255))
		if t.Format == course.Line && at == 0 && kind != geo.StartGate {
			at = geo.Unplaced
		}
		t.Gates = append(t.Gates, geo.Gate{ID: g.GetId(), Kind: kind, A: point(g.GetA()), B: point(g.GetB()),
			Direction: geo.Direction(min(max(g.GetDirection(), -2), 2)), AtMm: at, Mandatory: g.GetMandatory()})
	}
	return t
}

// ToProto is the wire and stored form.
func ToProto(t course.Track) *competitionv1.Track {
	p := &competitionv1.Track{
		Format: competitionv1.Format(t.Format), Sport: string(t.Sport), Name: t.Name, Laps: uint32(t.Laps),
		DistanceMm: int64(t.DistanceMm), CorridorMm: int64(t.CorridorMm),
	}
	for _, q := range t.Line {
		p.Line = append(p.Line, pointProto(q))
	}
	for _, h := range t.HeightsMm {
		p.HeightMm = append(p.HeightMm, int32(h))
	}
	for _, g := range t.Gates {
		o := &competitionv1.Gate{Id: g.ID, Kind: competitionv1.GateKind(g.Kind), Direction: int32(g.Direction),
			AtMm: int64(g.AtMm), Mandatory: g.Mandatory}
		if g.A != g.B { // a mark of a distance race has no line
			o.A, o.B = pointProto(g.A), pointProto(g.B)
		}
		p.Gates = append(p.Gates, o)
	}
	return p
}

func point(p *competitionv1.Point) geo.Point {
	return geo.Point{Lat: int64(p.GetLatE7()), Lon: int64(p.GetLonE7())}
}

func pointProto(p geo.Point) *competitionv1.Point {
	return &competitionv1.Point{LatE7: int32(p.Lat), LonE7: int32(p.Lon)}
}
