package bundle

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	bundlev1 "paceline/api/gen/paceline/bundle/v1"
	"paceline/domain/fault"
	"paceline/persistence"
	"paceline/persistence/memory"
)

// pack makes a zip of a manifest for these files, changed by edit, and the files.
func pack(t *testing.T, files map[string]string, edit func(*bundlev1.Manifest)) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	put := func(name string, content []byte) {
		w, err := z.CreateHeader(header(name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	m := &bundlev1.Manifest{Format: Format, CompetitionId: "c"}
	for name, content := range files {
		put(name, []byte(content))
		sum := sha256.Sum256([]byte(content))
		m.Files = append(m.Files, &bundlev1.File{Name: name, Sha256: sum[:], SizeBytes: uint64(len(content))})
	}
	edit(m)
	content, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	put(manifestName, content)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// What is wrong with a file as a bundle. Bundles of whole races are taken apart in simulations/audit.
func TestReadRefuses(t *testing.T) {
	course := map[string]string{courseName: "{}"}
	asIs := func(*bundlev1.Manifest) {}
	tests := map[string]struct {
		file []byte
		want *fault.Fault
	}{
		"nothing":                    {nil, ErrNotABundle},
		"noise":                      {bytes.Repeat([]byte("noise"), 300), ErrNotABundle},
		"half a zip":                 {pack(t, course, asIs)[:200], ErrNotABundle},
		"a newer format":             {pack(t, course, func(m *bundlev1.Manifest) { m.Format = Format + 1 }), ErrFormat},
		"no format":                  {pack(t, course, func(m *bundlev1.Manifest) { m.Format = 0 }), ErrNotABundle},
		"another digest":             {pack(t, course, func(m *bundlev1.Manifest) { m.Files[0].Sha256[3] ^= 1 }), ErrAltered},
		"another size":               {pack(t, course, func(m *bundlev1.Manifest) { m.Files[0].SizeBytes++ }), ErrAltered},
		"a file not named":           {pack(t, course, func(m *bundlev1.Manifest) { m.Files = nil }), ErrAltered},
		"a file not there":           {pack(t, course, func(m *bundlev1.Manifest) { m.Files = append(m.Files, &bundlev1.File{Name: resultName}) }), ErrAltered},
		"a path of elsewhere":        {pack(t, map[string]string{"../../etc/x": "x"}, asIs), ErrAltered},
		"a journal of noise":         {pack(t, map[string]string{"journal/competition/c.pb": "\xff\xff\xff"}, asIs), ErrNotABundle},
		"samples under another name": {pack(t, map[string]string{"samples/d/s.pb": ""}, asIs), ErrNotABundle},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Read(bytes.NewReader(tt.file), int64(len(tt.file)))
			if err == nil || fault.Of(err).Code != tt.want.Code {
				t.Errorf("Read = %v, want %s", err, tt.want.Code)
			}
		})
	}
}

func TestVerifyWithoutAJournal(t *testing.T) {
	file := pack(t, nil, func(*bundlev1.Manifest) {})
	b, err := Read(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Verify(); err == nil || fault.Of(err).Code != ErrNotABundle.Code {
		t.Errorf("Verify = %v, want %s", err, ErrNotABundle.Code)
	}
}

func TestNothingToExport(t *testing.T) {
	var out bytes.Buffer
	err := Write(context.Background(), persistence.Over(memory.New()), "nobody", &out)
	if err == nil || fault.Of(err).Code != ErrNoCompetition.Code {
		t.Errorf("Write = %v, want %s", err, ErrNoCompetition.Code)
	}
}
