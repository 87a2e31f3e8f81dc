package gpx

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/unit"
)

// MaxBytes is how large a file may be.
const MaxBytes = 64 << 20

// Track is the points of a file in their order.
type Track struct {
	Name   string
	Sport  string // the file's own word for it
	Points []Point
}

// Point is one position. Zero At means that the file names no time; the Has fields say what else there is.
type Point struct {
	geo.Point
	At         unit.InstantMs
	AltitudeMm int64
	HeartRate  int64 // bpm
	Cadence    int64 // rpm of one leg
	PowerW     int64
	HasAlt     bool
	HasHeart   bool
	HasCadence bool
	HasPower   bool
}

// Line is the positions alone.
func (t *Track) Line() []geo.Point {
	l := make([]geo.Point, len(t.Points))
	for i, p := range t.Points {
		l[i] = p.Point
	}
	return l
}

type trackXML struct {
	Name     string       `xml:"name"`
	Type     string       `xml:"type"`
	Segments []segmentXML `xml:"trkseg"`
}

type segmentXML struct {
	Points []pointXML `xml:"trkpt"`
}

type pointXML struct {
	Lat       string `xml:"lat,attr"`
	Lon       string `xml:"lon,attr"`
	Elevation string `xml:"ele"`
	Time      string `xml:"time"`
	Power     string `xml:"extensions>power"`
	Heart     string `xml:"extensions>TrackPointExtension>hr"`
	Cadence   string `xml:"extensions>TrackPointExtension>cad"`
}

// Read reads the tracks of a file, all segments joined.
func Read(r io.Reader) (*Track, error) {
	var doc struct {
		XMLName xml.Name   `xml:"gpx"`
		Tracks  []trackXML `xml:"trk"`
	}
	if err := xml.NewDecoder(io.LimitReader(r, MaxBytes)).Decode(&doc); err != nil {
		return nil, fmt.Errorf("gpx: %w", err)
	}
	t := &Track{}
	for _, trk := range doc.Tracks {
		if t.Name == "" {
			t.Name, t.Sport = strings.TrimSpace(trk.Name), strings.TrimSpace(trk.Type)
		}
		for _, s := range trk.Segments {
			for i := range s.Points {
				p, err := s.Points[i].read()
				if err != nil {
					return nil, fmt.Errorf("gpx: point %d: %w", len(t.Points)+1, err)
				}
				t.Points = append(t.Points, p)
			}
		}
	}
	return t, nil
}

func (x *pointXML) read() (Point, error) {
	var p Point
	var err error
	if p.Lat, err = geo.ParseDegrees(strings.TrimSpace(x.Lat), geo.E7); err != nil {
		return p, err
	}
	if p.Lon, err = geo.ParseDegrees(strings.TrimSpace(x.Lon), geo.E7); err != nil {
		return p, err
	}
	if s := strings.TrimSpace(x.Time); s != "" {
		if p.At, err = readTime(s); err != nil {
			return p, err
		}
	}
	if p.AltitudeMm, p.HasAlt, err = readNumber(x.Elevation, 1000); err != nil {
		return p, err
	}
	if p.HeartRate, p.HasHeart, err = readNumber(x.Heart, 1); err != nil {
		return p, err
	}
	if p.Cadence, p.HasCadence, err = readNumber(x.Cadence, 1); err != nil {
		return p, err
	}
	p.PowerW, p.HasPower, err = readNumber(x.Power, 1)
	// What a strap or a meter writes when it has nothing to say.
	p.HasHeart = p.HasHeart && p.HeartRate > 0 && p.HeartRate < 255
	return p, err
}

// readTime takes RFC 3339 with or without a fraction; a time without a zone is UTC, as GPX says.
func readTime(s string) (unit.InstantMs, error) {
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		if at, err = time.Parse("2006-01-02T15:04:05", s); err != nil {
			return 0, err
		}
	}
	return unit.InstantMs(at.UnixMilli()), nil
}

func readNumber(s string, scale float64) (int64, bool, error) {
	if s = strings.TrimSpace(s); s == "" {
		return 0, false, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.Abs(f) > 1e9 {
		return 0, false, fmt.Errorf("%q is not a number", s)
	}
	return int64(math.Round(f * scale)), true, nil
}

// Write writes a track as GPX 1.1; heart rate and cadence in the extension that watches use. The same track gives
// the same bytes.
func Write(w io.Writer, t *Track) error {
	var b strings.Builder
	b.WriteString(xml.Header)
	b.WriteString(`<gpx xmlns="http://www.topografix.com/GPX/1/1" ` +
		`xmlns:gpxtpx="http://www.garmin.com/xmlschemas/TrackPointExtension/v1" version="1.1" creator="Paceline">` + "\n <trk>\n")
	for _, e := range []struct{ name, text string }{{"name", t.Name}, {"type", t.Sport}} {
		if e.text != "" {
			fmt.Fprintf(&b, "  <%s>%s</%s>\n", e.name, escape(e.text), e.name)
		}
	}
	b.WriteString("  <trkseg>\n")
	for i := range t.Points {
		t.Points[i].write(&b)
	}
	b.WriteString("  </trkseg>\n </trk>\n</gpx>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (p *Point) write(b *strings.Builder) {
	fmt.Fprintf(b, `   <trkpt lat="%s" lon="%s">`, decimal(p.Lat, 7), decimal(p.Lon, 7))
	if p.HasAlt {
		fmt.Fprintf(b, "<ele>%s</ele>", decimal(p.AltitudeMm, 3))
	}
	if p.At != 0 {
		fmt.Fprintf(b, "<time>%s</time>", p.At.Time().Format("2006-01-02T15:04:05.000Z"))
	}
	if p.HasHeart || p.HasCadence || p.HasPower {
		b.WriteString("<extensions>")
		if p.HasPower {
			fmt.Fprintf(b, "<power>%d</power>", p.PowerW)
		}
		if p.HasHeart || p.HasCadence {
			b.WriteString("<gpxtpx:TrackPointExtension>")
			if p.HasHeart {
				fmt.Fprintf(b, "<gpxtpx:hr>%d</gpxtpx:hr>", p.HeartRate)
			}
			if p.HasCadence {
				fmt.Fprintf(b, "<gpxtpx:cad>%d</gpxtpx:cad>", p.Cadence)
			}
			b.WriteString("</gpxtpx:TrackPointExtension>")
		}
		b.WriteString("</extensions>")
	}
	b.WriteString("</trkpt>\n")
}

// decimal is v / 10^digits, exactly.
func decimal(v int64, digits int) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	scale := int64(math.Pow10(digits))
	return fmt.Sprintf("%s%d.%0*d", sign, v/scale, digits, v%scale)
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

// FromBatch is what a device has recorded, as a watch would export it: samples without a position are left out.
func FromBatch(name, sport string, b *sample.Batch) *Track {
	t := &Track{Name: name, Sport: sport}
	for i := range b.Len() {
		lat, ok := b.Value(sample.LatE7, i)
		if !ok {
			continue
		}
		p := Point{At: b.AtMs[i]}
		p.Lat = lat
		p.Lon, _ = b.Value(sample.LonE7, i)
		p.AltitudeMm, p.HasAlt = b.Value(sample.AltitudeMm, i)
		p.HeartRate, p.HasHeart = b.Value(sample.HeartRateBpm, i)
		p.Cadence, p.HasCadence = b.Value(sample.CadenceRpm, i)
		p.PowerW, p.HasPower = b.Value(sample.PowerW, i)
		t.Points = append(t.Points, p)
	}
	return t
}

// Batch is the track as a device sends it: positions, altitude and what sensors there were, times untouched, points
// that are not after the one before left out (left says how many). With counter, distance is what a watch adds up:
// the great circle from point to point on a sphere of 6,371,000 m.
func (t *Track) Batch(counter bool) (b sample.Batch, left int) {
	b.FirstSeq = 1
	var kept []*Point
	for i := range t.Points {
		p := &t.Points[i]
		if p.At == 0 || len(kept) > 0 && p.At <= kept[len(kept)-1].At {
			left++
			continue
		}
		kept = append(kept, p)
		b.AtMs = append(b.AtMs, p.At)
	}
	put := func(c sample.Channel, i int, v int64, has bool) {
		if !has {
			return
		}
		if b.Columns[c].Present == nil {
			b.Columns[c].Grow(len(kept))
		}
		b.Columns[c].Set(i, v)
	}
	var sum unit.DistanceMm
	for i, p := range kept {
		if i > 0 {
			sum += geo.DistanceMm(kept[i-1].Point, p.Point)
		}
		put(sample.LatE7, i, p.Lat, true)
		put(sample.LonE7, i, p.Lon, true)
		put(sample.DistanceMm, i, int64(sum), counter)
		put(sample.AltitudeMm, i, p.AltitudeMm, p.HasAlt)
		put(sample.HeartRateBpm, i, p.HeartRate, p.HasHeart)
		put(sample.CadenceRpm, i, p.Cadence, p.HasCadence)
		put(sample.PowerW, i, p.PowerW, p.HasPower)
	}
	return b, left
}
