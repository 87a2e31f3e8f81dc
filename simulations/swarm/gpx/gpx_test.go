package gpx_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/simulations/swarm/gpx"
)

const watch = `<?xml version="1.0"?>
<gpx xmlns="http://www.topografix.com/GPX/1/1" xmlns:x="http://www.garmin.com/xmlschemas/TrackPointExtension/v1" version="1.1" creator="t">
<trk><name>A &amp; B</name><type>run</type>
<trkseg><trkpt lat="53.55283171869814395904541015625" lon="-9.80252005"><ele>-1.2345</ele><time>2020-07-24T09:13:57.678000Z</time>
<extensions><x:TrackPointExtension><x:hr>104</x:hr><x:cad>88</x:cad></x:TrackPointExtension></extensions></trkpt></trkseg>
<trkseg><trkpt lat="-0.00000005" lon="1"><time>2020-07-24T11:14:01+02:00</time>
<extensions><power>250</power><x:TrackPointExtension><x:hr>255</x:hr></x:TrackPointExtension></extensions></trkpt>
<trkpt lat="0" lon="0"><time>2020-07-24T09:14:02</time></trkpt></trkseg></trk></gpx>`

func TestReadKeepsEveryDecimal(t *testing.T) {
	got, err := gpx.Read(strings.NewReader(watch))
	if err != nil {
		t.Fatal(err)
	}
	at := func(ms int64) unit.InstantMs {
		return unit.InstantMs(time.Date(2020, 7, 24, 9, 13, 57, 0, time.UTC).UnixMilli() + ms)
	}
	want := &gpx.Track{Name: "A & B", Sport: "run", Points: []gpx.Point{
		{Point: geo.Point{Lat: 535528317, Lon: -98025201}, At: at(678), AltitudeMm: -1235, HasAlt: true, HeartRate: 104, HasHeart: true, Cadence: 88, HasCadence: true},
		{Point: geo.Point{Lat: -1, Lon: 10000000}, At: at(4000), PowerW: 250, HasPower: true, HeartRate: 255},
		{Point: geo.Point{}, At: at(5000)},
	}}
	want.Points[0].AltitudeMm = got.Points[0].AltitudeMm // a half, rounded either way
	if a := got.Points[0].AltitudeMm; a != -1234 && a != -1235 {
		t.Errorf("altitude %d mm", a)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no file":      "",
		"other xml":    "<tcx/>",
		"cut short":    watch[:len(watch)/2],
		"bad latitude": strings.Replace(watch, `lat="0"`, `lat="1e3"`, 1),
		"bad time":     strings.Replace(watch, "09:14:02", "9:14", 1),
		"bad number":   strings.Replace(watch, ">104<", ">NaN<", 1),
	} {
		if _, err := gpx.Read(strings.NewReader(text)); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}

// What is written is read back the same.
func TestWriteRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := &gpx.Track{Name: rapid.StringMatching(`[ -~]{0,20}`).Draw(t, "name"), Sport: "ride"}
		want.Name = strings.TrimSpace(want.Name)
		for range rapid.IntRange(1, 20).Draw(t, "points") {
			p := gpx.Point{Point: geo.Point{Lat: rapid.Int64Range(-9e8, 9e8).Draw(t, "lat"), Lon: rapid.Int64Range(-18e8, 18e8).Draw(t, "lon")}}
			p.At = unit.InstantMs(rapid.Int64Range(1, 2e12).Draw(t, "at"))
			if p.HasAlt = rapid.Bool().Draw(t, "alt"); p.HasAlt {
				p.AltitudeMm = rapid.Int64Range(-1e6, 1e7).Draw(t, "mm")
			}
			if p.HasHeart = rapid.Bool().Draw(t, "heart"); p.HasHeart {
				p.HeartRate = rapid.Int64Range(1, 254).Draw(t, "bpm")
			}
			if p.HasPower = rapid.Bool().Draw(t, "power"); p.HasPower {
				p.PowerW = rapid.Int64Range(0, 2500).Draw(t, "W")
			}
			if p.HasCadence = rapid.Bool().Draw(t, "cadence"); p.HasCadence {
				p.Cadence = rapid.Int64Range(0, 130).Draw(t, "rpm")
			}
			want.Points = append(want.Points, p)
		}
		var b strings.Builder
		if err := gpx.Write(&b, want); err != nil {
			t.Fatal(err)
		}
		got, err := gpx.Read(strings.NewReader(b.String()))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
	})
}

// The real recordings are read whole: what the manifest counts is there, with fractions of seconds.
func TestReadRecordings(t *testing.T) {
	root := os.Getenv("PACELINE_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	for _, c := range []struct {
		file   string
		points int
		first  int64 // ms within the second
	}{
		{"group-regatta-2024/alex.gpx", 1909, 0},
		{"group-regatta-2024/richard.gpx", 1567, 0},
		{"group-regatta-2024/yury.gpx", 1694, 0},
		{"virtual-5k/runner-4.gpx", 431, 609},
		{"ghost-10k/run-a.gpx", 885, 455},
	} {
		f, err := os.Open(filepath.Join(root, "activities", c.file))
		if os.IsNotExist(err) {
			t.Skipf("no recordings: %q has no activities/%s (set PACELINE_DATA)", root, c.file)
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := gpx.Read(f)
		_ = f.Close()
		if err != nil {
			t.Fatalf("%s: %v", c.file, err)
		}
		if len(got.Points) != c.points || int64(got.Points[0].At)%1000 != c.first {
			t.Errorf("%s: %d points, first at %d", c.file, len(got.Points), got.Points[0].At)
		}
	}
}

// A batch from a track that is written and read again is the same batch; counted distance is the sum of the steps.
func TestBatchThroughFile(t *testing.T) {
	track, err := gpx.Read(strings.NewReader(watch))
	if err != nil {
		t.Fatal(err)
	}
	track.Points = append(track.Points, gpx.Point{At: track.Points[0].At}) // goes back in time
	b, left := track.Batch(true)
	if b.Len() != 3 || left != 1 {
		t.Fatalf("%d samples, %d left out", b.Len(), left)
	}
	want := geo.DistanceMm(track.Points[0].Point, track.Points[1].Point) + geo.DistanceMm(track.Points[1].Point, track.Points[2].Point)
	if got, ok := b.Value(sample.DistanceMm, 2); !ok || got != int64(want) {
		t.Errorf("%d mm counted, want %d", got, want)
	}
	if _, ok := b.Value(sample.HeartRateBpm, 1); ok {
		t.Error("255 bpm is no heart rate")
	}
	var file strings.Builder
	if err := gpx.Write(&file, gpx.FromBatch("x", "run", &b)); err != nil {
		t.Fatal(err)
	}
	again, err := gpx.Read(strings.NewReader(file.String()))
	if err != nil {
		t.Fatal(err)
	}
	c, _ := again.Batch(true)
	for i := range b.Len() {
		if !b.Same(i, &c, i) {
			t.Errorf("sample %d differs", i)
		}
	}
}
