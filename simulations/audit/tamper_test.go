package audit_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	bundlev1 "paceline/api/gen/paceline/bundle/v1"
	"paceline/pipeline/bundle"
	"paceline/simulations/audit"
	"paceline/simulations/world"
)

// file is one file of a bundle.
type file struct {
	name    string
	content []byte
}

// exported is a bundle that the shells themselves have written: a race of the simulated world in which nothing went
// wrong.
func exported(t *testing.T, seed uint64) []byte {
	t.Helper()
	w := world.New(seed, world.Calm(), nil)
	if o := w.Run(); len(o.Failures) > 0 || !o.Official {
		t.Fatalf("seed %d: %v", seed, o.Failures)
	}
	var out bytes.Buffer
	if err := w.Export(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// race is such a bundle's files.
func race(t *testing.T, seed uint64) []file {
	t.Helper()
	whole := exported(t, seed)
	z, err := zip.NewReader(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	var files []file
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file{f.Name, content})
	}
	return files
}

// packedAt is the one time that files of a bundle have.
var packedAt = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// read packs files and reads them as a bundle.
func read(t testing.TB, files []file) (*bundle.Bundle, error) {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, f := range files {
		// Packed as an export packs: what is tried is what the files say.
		w, err := z.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Store, Modified: packedAt})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return bundle.Read(bytes.NewReader(out.Bytes()), int64(out.Len()))
}

// verify is what `paceline verify` does: by the rules, then by the oracle. nil: all agree.
func verify(t testing.TB, files []file) error {
	t.Helper()
	b, err := read(t, files)
	if err != nil {
		return err
	}
	report, err := b.Verify()
	if err != nil {
		return err
	}
	if !report.Agrees() {
		return fmt.Errorf("differs: %+v", report.Entries)
	}
	differs, err := audit.Compare(b)
	if err != nil {
		return err
	}
	if len(differs) > 0 {
		return fmt.Errorf("the oracle: %v", differs)
	}
	return nil
}

// resign writes a manifest that fits the files.
func resign(t testing.TB, files []file) {
	t.Helper()
	i := slices.IndexFunc(files, func(f file) bool { return f.name == "manifest.json" })
	m := &bundlev1.Manifest{}
	if err := protojson.Unmarshal(files[i].content, m); err != nil {
		t.Fatal(err)
	}
	m.Files = nil
	for _, f := range files {
		if f.name != "manifest.json" {
			sum := sha256.Sum256(f.content)
			m.Files = append(m.Files, &bundlev1.File{Name: f.name, Sha256: sum[:], SizeBytes: uint64(len(f.content))})
		}
	}
	content, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	files[i].content = content
}

func with(files []file, i int, content []byte) []file {
	changed := slices.Clone(files)
	changed[i].content = content
	return changed
}

func flipped(b []byte, at int, bit byte) []byte {
	c := slices.Clone(b)
	c[at] ^= bit
	return c
}

// TestOneByteChanged: whichever byte of whichever file is changed, the bundle does not verify.
func TestOneByteChanged(t *testing.T) {
	files := race(t, 3)
	if err := verify(t, files); err != nil {
		t.Fatalf("the unchanged bundle: %v", err)
	}
	for i, f := range files {
		step := max(1, len(f.content)/40)
		if f.name == "manifest.json" {
			step = 3 // no digest covers it
		}
		for at := 0; at < len(f.content); at += step {
			if err := verify(t, with(files, i, flipped(f.content, at, 1))); err == nil && !blank(f, at) {
				t.Errorf("byte %d of %s is changed and the bundle verifies", at, f.name)
			}
		}
	}
}

// blank reports whether a byte says nothing: white space of a JSON file that no digest covers.
func blank(f file, at int) bool {
	return f.name == "manifest.json" && bytes.IndexByte([]byte(" \n"), f.content[at]) >= 0
}

// TestOneByteOfTheFileChanged: the container counts too, its times, flags and headers that no digest covers.
func TestOneByteOfTheFileChanged(t *testing.T) {
	whole := exported(t, 3)
	if _, err := bundle.Read(bytes.NewReader(whole), int64(len(whole))); err != nil {
		t.Fatalf("the unchanged bundle: %v", err)
	}
	for at := 0; at < len(whole); at += 1 + at%3 {
		changed := flipped(whole, at, 1)
		if _, err := bundle.Read(bytes.NewReader(changed), int64(len(changed))); err == nil {
			t.Errorf("byte %d of %d is changed and the bundle is read", at, len(whole))
		}
	}
	for _, tail := range [][]byte{{0}, []byte("PK")} {
		longer := append(slices.Clone(whole), tail...)
		if _, err := bundle.Read(bytes.NewReader(longer), int64(len(longer))); err == nil {
			t.Errorf("%q behind its end and the bundle is read", tail)
		}
	}
}

// TestOneByteChangedAndSigned: now the forger fits the manifest to what he has changed. Verify fails or names
// what differs, unless the change touches nothing that the result rests on: then samples, gates, rows, course and
// result say the same as before.
func TestOneByteChangedAndSigned(t *testing.T) {
	files := race(t, 3)
	before := substance(t, files)
	tried, silent := map[string]int{}, map[string]int{}
	for i, f := range files {
		if f.name == "manifest.json" {
			continue
		}
		step := max(1, len(f.content)/60)
		for at := 0; at < len(f.content); at += step {
			changed := with(files, i, flipped(f.content, at, 1))
			resign(t, changed)
			tried[f.name]++
			if verify(t, changed) != nil {
				continue
			}
			silent[f.name]++
			if after := substance(t, changed); after != before {
				t.Errorf("byte %d of %s is changed, the result rests on something else, and the bundle verifies:\n%s\nbefore:\n%s", at, f.name, after, before)
			}
		}
	}
	for _, f := range files {
		t.Logf("%-90s %3d tried, %3d say nothing that counts", f.name, tried[f.name], silent[f.name])
		switch {
		case f.name == "manifest.json":
		case tried[f.name] == 0:
			t.Errorf("%s has not been tried", f.name)
		case silent[f.name] == tried[f.name]:
			t.Errorf("no change of %s is ever noticed", f.name)
		}
	}
}

// substance is everything that a result rests on, in words: what people read, the published result with its
// inputs, and the samples.
func substance(t testing.TB, files []file) string {
	t.Helper()
	b, err := read(t, files)
	if err != nil {
		t.Fatal(err)
	}
	src, err := b.Newest()
	if err != nil {
		t.Fatal(err)
	}
	var s bytes.Buffer
	fmt.Fprintf(&s, "%+v\n%+v\n", src.Result, src.State.Definition.Track)
	for _, in := range src.Result.Inputs {
		for _, st := range in.Streams {
			batches, err := b.Batches(st.Device, st.Stream)
			if err != nil {
				t.Fatal(err)
			}
			for i := range batches {
				for k := range batches[i].Len() {
					if seq := batches[i].FirstSeq + uint64(k); seq <= st.Through {
						fmt.Fprintf(&s, "%s %d %d", st.Stream, seq, batches[i].AtMs[k])
						for c := range batches[i].Columns {
							if col := &batches[i].Columns[c]; col.Has(k) {
								fmt.Fprintf(&s, " %d=%d", c, col.Values[k])
							}
						}
						fmt.Fprintln(&s, batches[i].Mark(k))
					}
				}
			}
		}
	}
	sum := sha256.Sum256(s.Bytes())
	return fmt.Sprintf("%x\n%.600s", sum, s.String())
}

// TestForgedBundles: changes that a forger would make, each with a manifest that fits.
func TestForgedBundles(t *testing.T) {
	files := race(t, 3)
	find := func(t *testing.T, prefix string) int {
		t.Helper()
		i := slices.IndexFunc(files, func(f file) bool { return len(f.name) >= len(prefix) && f.name[:len(prefix)] == prefix })
		if i < 0 {
			t.Fatalf("no file %s…", prefix)
		}
		return i
	}
	edit := func(t *testing.T, i int, m proto.Message, change func()) []file {
		t.Helper()
		if err := proto.Unmarshal(files[i].content, m); err != nil {
			t.Fatal(err)
		}
		change()
		content, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return with(files, i, content)
	}
	samples, journal := &bundlev1.Samples{}, &bundlev1.Journal{}
	tests := map[string]func(t *testing.T) []file{
		"a file is left out": func(t *testing.T) []file {
			i := find(t, "samples/")
			return append(slices.Clone(files[:i]), files[i+1:]...)
		},
		"the last block of samples is left out": func(t *testing.T) []file {
			return edit(t, find(t, "samples/"), samples, func() { samples.Blocks = samples.Blocks[:len(samples.Blocks)-1] })
		},
		"a block comes twice": func(t *testing.T) []file {
			return edit(t, find(t, "samples/"), samples, func() { samples.Blocks = append(samples.Blocks, samples.Blocks[0]) })
		},
		"another stream's samples": func(t *testing.T) []file {
			i := find(t, "samples/")
			other := &bundlev1.Samples{}
			return edit(t, i, samples, func() {
				k := slices.IndexFunc(files[i+1:], func(f file) bool { return len(f.name) > 8 && f.name[:8] == "samples/" })
				if err := proto.Unmarshal(files[i+1+k].content, other); err != nil {
					t.Fatal(err)
				}
				samples.Blocks = other.Blocks
			})
		},
		"the journal has a hole": func(t *testing.T) []file {
			return edit(t, find(t, "journal/competition/"), journal, func() { journal.Records = slices.Delete(journal.Records, 2, 3) })
		},
		"the journal has a hole and other numbers": func(t *testing.T) []file {
			return edit(t, find(t, "journal/competition/"), journal, func() {
				journal.Records = slices.Delete(journal.Records, 2, 3)
				for i, r := range journal.Records {
					r.Version = uint64(i + 1)
				}
			})
		},
		"no course.json": func(t *testing.T) []file {
			i := find(t, "course.json")
			return append(slices.Clone(files[:i]), files[i+1:]...)
		},
		"a file nobody knows": func(*testing.T) []file { return append(slices.Clone(files), file{"extra.txt", []byte("x")}) },
		"a file twice":        func(t *testing.T) []file { return append(slices.Clone(files), files[find(t, "course.json")]) },
	}
	for name, forge := range tests {
		t.Run(name, func(t *testing.T) {
			changed := forge(t)
			resign(t, changed)
			err := verify(t, changed)
			if err == nil {
				t.Fatal("it verifies")
			}
			t.Log(err)
		})
	}
}
