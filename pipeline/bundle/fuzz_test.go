package bundle

import (
	"bytes"
	"testing"

	bundlev1 "paceline/api/gen/paceline/bundle/v1"
)

// FuzzRead: whatever the file, it is a bundle or it is refused; verifying what was read does not panic either.
func FuzzRead(f *testing.F) {
	for _, files := range []map[string]string{nil, {courseName: "{}", resultName: "{}"}, {"journal/competition/c.pb": "\x0a\x0bcompetition\x12\x01c"}} {
		var t testing.T
		f.Add(pack(&t, files, func(*bundlev1.Manifest) {}))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		b, err := Read(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		_, _ = b.Verify() // most have no result
	})
}

// FuzzJournal: whatever a journal's records and a stream's blocks hold, they are refused or verified, never a panic.
func FuzzJournal(f *testing.F) {
	f.Add(uint32(1), uint32(1), []byte{}, []byte{})
	for kind := range uint32(40) {
		f.Add(kind, uint32(1), []byte("\x0a\x04name\x12\x02\x08\x01"), []byte{1, 0, 1, 1})
	}
	f.Fuzz(func(t *testing.T, kind, format uint32, payload, block []byte) {
		b := &Bundle{Manifest: &bundlev1.Manifest{Format: Format, CompetitionId: "c"}}
		j := &bundlev1.Journal{Kind: "competition", Id: "c", Records: []*bundlev1.Record{{Version: 1, Kind: kind, Format: format, Payload: payload}}}
		if _, _, err := replay(j, 0); err != nil {
			return
		}
		_, _ = told(j)
		b.samples = map[streamKey]*bundlev1.Samples{{"d", "s"}: {Device: "d", StreamId: "s", Blocks: [][]byte{block}}}
		_, _ = b.batches("d", "s")
	})
}
