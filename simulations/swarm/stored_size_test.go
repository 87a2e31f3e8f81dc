package swarm_test

import (
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/persistence"
	"paceline/simulations/swarm/gpx"
)

// reading is what an activity file says at one instant, as a device would have sent it.
type reading struct {
	at     int64 // ms
	values map[sample.Channel]int64
}

// TestStoredSizes prints what real activities take in the store: as recordings, with each channel alone beside, and as the
// blocks of a live workout. Bar: a recording takes 2 bytes a value at most.
func TestStoredSizes(t *testing.T) {
	root := os.Getenv("PACELINE_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	files, err := filepath.Glob(filepath.Join(root, "activities", "*"))
	if err != nil {
		t.Fatal(err)
	}
	more, _ := filepath.Glob(filepath.Join(root, "activities", "*", "*.gpx"))
	var all sizes
	read := 0
	for _, name := range append(files, more...) {
		readings, err := readActivity(name)
		if err != nil {
			t.Fatalf("%s: %v", filepath.Base(name), err)
		}
		b := batchOf(readings)
		if b.Len() < 100 { // the hand-written fixtures, and what no reader here understands
			continue
		}
		one := measure(t, b)
		all.add(one)
		read++
		t.Logf("%-40s %6d samples %7d values, recording %.2f bytes a value, live blocks of 5: %.2f, of 512: %.2f", strings.TrimPrefix(name, root+"/activities/"),
			b.Len(), one.values, one.perValue(one.recording), one.perValue(one.blocks[5]), one.perValue(one.blocks[sample.MaxBatch]))
	}
	if read == 0 {
		t.Skipf("no recordings: %q has no activities (set PACELINE_DATA)", root)
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 2, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "channel\tvalues\trecording, alone\tbytes/value\t")
	fmt.Fprintf(w, "(times)\t%d\t%d\t%.2f\t\n", all.samples, all.times, float64(all.times)/float64(all.samples))
	for c := range sample.Channel(sample.Channels) {
		if n := all.channels[c].values; n > 0 {
			fmt.Fprintf(w, "%s\t%d\t%d\t%.2f\t\n", c, n, all.channels[c].bytes, float64(all.channels[c].bytes)/float64(n))
		}
	}
	fmt.Fprintf(w, "all, as a recording\t%d\t%d\t%.2f\t\n", all.values, all.recording, all.perValue(all.recording))
	for _, n := range blockSizes {
		fmt.Fprintf(w, "all, as live blocks of %d\t%d\t%d\t%.2f\t\n", n, all.values, all.blocks[n], all.perValue(all.blocks[n]))
	}
	_ = w.Flush()
	t.Logf("%d activities, times and marks included:\n%s", read, table.String())
	if all.perValue(all.recording) > 2 {
		t.Errorf("a recording takes %.2f bytes a value, at most 2", all.perValue(all.recording))
	}
	for c, x := range all.channels {
		if x.bytes > 2*x.values {
			t.Errorf("%s takes %d bytes for %d values, at most 2 each", sample.Channel(c), x.bytes, x.values)
		}
	}
}

// blockSizes: a frame of a second or two, one of a device that comes back, the largest.
var blockSizes = []int{1, 5, 60, sample.MaxBatch}

type sizes struct {
	samples, values, recording, times int
	blocks                            map[int]int
	channels                          [sample.Channels]struct{ values, bytes int }
}

func (s *sizes) perValue(bytes int) float64 { return float64(bytes) / float64(s.values) }

func (s *sizes) add(o sizes) {
	s.samples, s.values, s.recording, s.times = s.samples+o.samples, s.values+o.values, s.recording+o.recording, s.times+o.times
	if s.blocks == nil {
		s.blocks = map[int]int{}
	}
	for n, b := range o.blocks {
		s.blocks[n] += b
	}
	for c := range s.channels {
		s.channels[c].values += o.channels[c].values
		s.channels[c].bytes += o.channels[c].bytes
	}
}

func measure(t *testing.T, b *sample.Batch) sizes {
	s := sizes{samples: b.Len(), blocks: map[int]int{}}
	s.recording = recordingBytes(b)
	times := &sample.Batch{FirstSeq: 1, AtMs: b.AtMs}
	s.times = recordingBytes(times)
	for c := range b.Columns {
		n := 0
		for i := range b.Len() {
			if b.Columns[c].Has(i) {
				n++
			}
		}
		if n == 0 {
			continue
		}
		alone := &sample.Batch{FirstSeq: 1, AtMs: b.AtMs}
		alone.Columns[c] = b.Columns[c]
		s.channels[c].values, s.channels[c].bytes = n, recordingBytes(alone)-s.times
		s.values += n
	}
	for _, n := range blockSizes {
		for at := 0; at < b.Len(); at += n {
			part := b.Slice(at, min(at+n, b.Len()))
			cell := persistence.AppendBlock(nil, &part)
			back, err := persistence.DecodeBlock(cell)
			if err != nil || back.Len() != part.Len() {
				t.Fatal(err)
			}
			s.blocks[n] += len(cell)
		}
	}
	return s
}

func recordingBytes(b *sample.Batch) int {
	return len(persistence.EncodeRecording(&persistence.Recording{Workout: "u/w", Streams: []persistence.RecordedStream{{
		Key: persistence.SeriesKey{Device: "u/d", Stream: "s", Subject: "u"}, Through: b.LastSeq(), Batches: []sample.Batch{*b}}}}))
}

// batchOf is the readings in their order; times that do not rise are left out, as a device leaves them out.
func batchOf(readings []reading) *sample.Batch {
	kept := readings[:0]
	for _, r := range readings {
		if len(r.values) > 0 && (len(kept) == 0 || r.at > kept[len(kept)-1].at) {
			kept = append(kept, r)
		}
	}
	b := &sample.Batch{FirstSeq: 1}
	for i, r := range kept {
		b.AtMs = append(b.AtMs, unit.InstantMs(r.at))
		for c, v := range r.values {
			if b.Columns[c].Present == nil {
				b.Columns[c].Grow(len(kept))
			}
			b.Columns[c].Set(i, v)
		}
	}
	return b
}

// readActivity reads what it can of a file; a folder and a file of another kind are empty, a broken one ends early.
func readActivity(name string) ([]reading, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		if info, e := os.Stat(name); e == nil && info.IsDir() {
			return nil, nil
		}
		return nil, err
	}
	switch filepath.Ext(name) {
	case ".gpx":
		return readGPX(raw)
	case ".tcx":
		return readTCX(raw), nil
	case ".fit":
		return readFIT(raw), nil
	}
	return nil, nil
}

func readGPX(raw []byte) ([]reading, error) {
	track, err := gpx.Read(strings.NewReader(string(raw)))
	if err != nil {
		return nil, err
	}
	var all []reading
	for _, p := range track.Points {
		v := map[sample.Channel]int64{sample.LatE7: p.Lat, sample.LonE7: p.Lon}
		for _, x := range []struct {
			has bool
			c   sample.Channel
			v   int64
		}{{p.HasAlt, sample.AltitudeMm, p.AltitudeMm}, {p.HasHeart, sample.HeartRateBpm, p.HeartRate}, {p.HasCadence, sample.CadenceRpm, p.Cadence}, {p.HasPower, sample.PowerW, p.PowerW}} {
			if x.has {
				v[x.c] = x.v
			}
		}
		all = append(all, reading{int64(p.At), v})
	}
	return all, nil
}

func readTCX(raw []byte) (all []reading) {
	type point struct {
		Time     string   `xml:"Time"`
		Lat      *float64 `xml:"Position>LatitudeDegrees"`
		Lon      *float64 `xml:"Position>LongitudeDegrees"`
		Altitude *float64 `xml:"AltitudeMeters"`
		Distance *float64 `xml:"DistanceMeters"`
		Heart    *float64 `xml:"HeartRateBpm>Value"`
		Cadence  *float64 `xml:"Cadence"`
		Steps    *float64 `xml:"Extensions>TPX>RunCadence"`
		Speed    *float64 `xml:"Extensions>TPX>Speed"`
		Power    *float64 `xml:"Extensions>TPX>Watts"`
	}
	d := xml.NewDecoder(strings.NewReader(strings.TrimLeft(string(raw), " \r\n\t")))
	d.Strict = false
	for {
		token, err := d.Token()
		if err != nil {
			return all
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "Trackpoint" {
			continue
		}
		var p point
		if d.DecodeElement(&p, &start) != nil {
			return all
		}
		at, err := time.Parse(time.RFC3339, strings.TrimSpace(p.Time))
		if err != nil {
			continue
		}
		v := map[sample.Channel]int64{}
		for _, x := range []struct {
			f     *float64
			c     sample.Channel
			scale float64
		}{{p.Altitude, sample.AltitudeMm, 1000}, {p.Distance, sample.DistanceMm, 1000}, {p.Heart, sample.HeartRateBpm, 1}, {p.Cadence, sample.CadenceRpm, 1},
			{p.Steps, sample.CadenceRpm, 1}, {p.Speed, sample.SpeedMmS, 1000}, {p.Power, sample.PowerW, 1}} {
			if x.f != nil {
				v[x.c] = int64(math.Round(*x.f * x.scale))
			}
		}
		if p.Lat != nil && p.Lon != nil {
			v[sample.LatE7], v[sample.LonE7] = int64(math.Round(*p.Lat*1e7)), int64(math.Round(*p.Lon*1e7))
		}
		all = append(all, reading{at.UnixMilli(), v})
	}
}

// fitFields are the fields of a FIT record: the channel, what a step of it is worth there, and how it is read.
var fitFields = map[byte]struct {
	c      sample.Channel
	scale  float64
	offset float64
	signed bool
}{
	0: {sample.LatE7, 180e7 / (1 << 31), 0, true}, 1: {sample.LonE7, 180e7 / (1 << 31), 0, true}, 2: {sample.AltitudeMm, 200, -500_000, false},
	3: {sample.HeartRateBpm, 1, 0, false}, 4: {sample.CadenceRpm, 1, 0, false}, 5: {sample.DistanceMm, 10, 0, false}, 6: {sample.SpeedMmS, 1, 0, false},
	7: {sample.PowerW, 1, 0, false}, 13: {sample.TemperatureCC, 100, 0, true}, 73: {sample.SpeedMmS, 1, 0, false}, 78: {sample.AltitudeMm, 200, -500_000, false},
}

// fitShape is how messages of one local type are laid out.
type fitShape struct {
	global uint16
	order  binary.ByteOrder
	fields [][2]byte // number, size
	more   int       // bytes of developers' fields
}

// readFIT reads the records of a FIT file as far as it goes.
func readFIT(raw []byte) (all []reading) {
	defer func() { _ = recover() }() // a file that is cut off ends here: what was read counts
	shapes := map[byte]*fitShape{}
	for at := int(raw[0]); at < len(raw); {
		header := raw[at]
		at++
		if header&0x80 == 0 && header&0x40 != 0 {
			s := &fitShape{order: binary.LittleEndian}
			if raw[at+1] == 1 {
				s.order = binary.BigEndian
			}
			s.global = s.order.Uint16(raw[at+2:])
			n := int(raw[at+4])
			for at += 5; n > 0; n, at = n-1, at+3 {
				s.fields = append(s.fields, [2]byte{raw[at], raw[at+1]})
			}
			if header&0x20 != 0 {
				n = int(raw[at])
				for at++; n > 0; n, at = n-1, at+3 {
					s.more += int(raw[at+1])
				}
			}
			shapes[header&15] = s
			continue
		}
		local := header & 15
		if header&0x80 != 0 {
			local = header >> 5 & 3
		}
		s := shapes[local]
		r := reading{values: map[sample.Channel]int64{}}
		for _, f := range s.fields {
			s.read(&r, f[0], raw[at:at+int(f[1])])
			at += int(f[1])
		}
		at += s.more
		if s.global == 20 && r.at > 0 {
			all = append(all, r)
		}
	}
	return all
}

func (s *fitShape) read(r *reading, number byte, b []byte) {
	var v, bits uint64
	switch len(b) {
	case 1:
		v, bits = uint64(b[0]), 8
	case 2:
		v, bits = uint64(s.order.Uint16(b)), 16
	case 4:
		v, bits = uint64(s.order.Uint32(b)), 32
	default:
		return
	}
	if number == 253 {
		r.at = (int64(v) + 631_065_600) * 1000
		return
	}
	f, ok := fitFields[number]
	if !ok || v == 1<<bits-1 && !f.signed || v == 1<<(bits-1)-1 && f.signed {
		return
	}
	x := int64(v)
	if f.signed && v>>(bits-1) == 1 {
		x -= 1 << bits
	}
	r.values[f.c] = int64(math.Round(float64(x)*f.scale + f.offset))
}
