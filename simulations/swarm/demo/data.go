package demo

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/simulations/swarm/gpx"
)

// recordings reads the GPX files of a folder, by name.
func recordings(folder string) (names []string, tracks []*gpx.Track, err error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.gpx"))
	if err != nil {
		return nil, nil, fmt.Errorf("demo: %w", err)
	}
	slices.Sort(files)
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			return nil, nil, fmt.Errorf("demo: %w", err)
		}
		t, err := gpx.Read(f)
		_ = f.Close()
		if err != nil {
			return nil, nil, fmt.Errorf("demo: %s: %w", path, err)
		}
		names, tracks = append(names, strings.TrimSuffix(filepath.Base(path), ".gpx")), append(tracks, t)
	}
	if len(tracks) == 0 {
		return nil, nil, fmt.Errorf("demo: %s has no GPX files", folder)
	}
	return names, tracks, nil
}

// channelsOf is the columns that a batch has; all were measured.
func channelsOf(b *sample.Batch) map[sample.Channel]sample.Trust {
	m := map[sample.Channel]sample.Trust{}
	for c := range b.Columns {
		if b.Columns[c].Present != nil {
			m[sample.Channel(c)] = sample.Measured
		}
	}
	return m
}

// entrant is a recording as a device will send it.
func entrant(name string, t *gpx.Track, counter bool) (Entrant, string) {
	b, left := t.Batch(counter)
	note := ""
	if left > 0 {
		note = fmt.Sprintf("%s: %d points that are not after the one before are left out.", name, left)
	}
	return Entrant{Name: strings.ToUpper(name[:1]) + name[1:], Samples: b, Channels: channelsOf(&b)}, note
}

// regatta is three boats around an island: gates are meridians, all mandatory, the first begins net time.
func regatta(folder string) (*Plan, error) {
	names, tracks, err := recordings(folder)
	if err != nil {
		return nil, err
	}
	const south, north = 53_3600000, 53_7600000
	gate := func(id string, k geo.GateKind) geo.Gate {
		return geo.Gate{ID: id, Kind: k, Mandatory: true, AtMm: geo.Unplaced}
	}
	p := &Plan{Title: "Rund Hanskalbsand 2024", Expected: filepath.Join(folder, "expected-gates.csv"),
		Gun: unit.InstantMs(time.Date(2024, 6, 15, 14, 46, 0, 0, time.UTC).UnixMilli()),
		Track: course.Track{Format: course.Line, Sport: geo.Other, Name: "Rund Hanskalbsand", CorridorMm: 2_000_000,
			Line: []geo.Point{geo.Degrees(53.5612, 9.76), geo.Degrees(53.5658, 9.70), geo.Degrees(53.5669, 9.67),
				geo.Degrees(53.5511, 9.70), geo.Degrees(53.5486, 9.76)},
			Gates: []geo.Gate{
				gate("G1", geo.StartGate).Westward(9_7600000, south, north),
				gate("G2", geo.SplitGate).Westward(9_7000000, south, north),
				gate("G3", geo.SplitGate).Westward(9_6700000, south, north),
				gate("G4", geo.SplitGate).Eastward(9_7000000, south, north),
				gate("G5", geo.FinishGate).Eastward(9_7600000, south, north),
			}}}
	for i, t := range tracks {
		e, note := entrant(names[i], t, false)
		e.Club, e.Flag = "Hamburg", "DE"
		p.add(e, note)
	}
	p.Notes = append(p.Notes, "Three real boats in one race on 2024-06-15, at the times of that day. Watches are stopped 30 s after the finish.")
	return p, p.settle()
}

func (p *Plan) add(e Entrant, note string) {
	p.Entrants = append(p.Entrants, e)
	if note != "" {
		p.Notes = append(p.Notes, note)
	}
}

// virtual is five real runs as a race over 5 km.
func virtual(folder string) (*Plan, error) {
	p, err := distanceRace(folder, "Five kilometres, anywhere", 5_000_000)
	if err != nil {
		return nil, err
	}
	for i := range p.Entrants {
		if e := &p.Entrants[i]; p.reviewExpected(e) {
			p.Notes = append(p.Notes, e.Name+" jumps on the way: the step earns no distance and the entry comes under review. This is expected.")
		}
	}
	return p, nil
}

// ghost is a duel against the past: one runner, two days, one way.
func ghost(folder string) (*Plan, error) {
	km := map[string]unit.DistanceMm{"ghost-4k": 4, "ghost-8k": 8, "ghost-10k": 10}[filepath.Base(filepath.Clean(folder))]
	return distanceRace(folder, fmt.Sprintf("A duel against the past, %d km", km), km*1_000_000)
}

// distanceRace makes a race over a distance of recordings of different days: each begins at the gun.
func distanceRace(folder, title string, mm unit.DistanceMm) (*Plan, error) {
	names, tracks, err := recordings(folder)
	if err != nil {
		return nil, err
	}
	p := &Plan{Title: title, Track: course.Track{Format: course.Distance, Sport: geo.Run, Name: title, DistanceMm: mm}}
	for at := unit.DistanceMm(1_000_000); at < mm; at += 1_000_000 {
		p.Track.Gates = append(p.Track.Gates, geo.Gate{ID: fmt.Sprintf("km%d", at/1_000_000), Kind: geo.SplitGate, Mandatory: true, AtMm: at})
	}
	p.Track.Gates = append(p.Track.Gates, geo.Gate{ID: "finish", Kind: geo.FinishGate, Mandatory: true, AtMm: mm})
	days := map[string]bool{}
	for i, t := range tracks {
		e, note := entrant(names[i], t, true)
		if e.Samples.Len() == 0 {
			return nil, fmt.Errorf("demo: %s has no times", names[i])
		}
		first := e.Samples.AtMs[0]
		days[first.Time().Format(time.DateOnly)] = true
		e.Club = first.Time().Format(time.DateOnly) // the day it was run
		// The newest recording's day is the day of the race.
		p.Gun = max(p.Gun, first-first%1000)
		p.add(e, note)
	}
	for i := range p.Entrants {
		rebase(&p.Entrants[i].Samples, p.Gun)
	}
	p.Notes = append(p.Notes, fmt.Sprintf("%d recordings of %d different days, rebased: each begins at the gun, %s.", len(p.Entrants), len(days), p.Gun.Time().Format(time.RFC3339)),
		"Each device sends the distance that a watch adds up (great circles on a sphere of 6,371,000 m).")
	return p, p.settle()
}

// rebase moves a recording so that it begins at an instant.
func rebase(b *sample.Batch, at unit.InstantMs) {
	by := at.Sub(b.AtMs[0])
	for i := range b.AtMs {
		b.AtMs[i] = b.AtMs[i].Add(by)
	}
}
