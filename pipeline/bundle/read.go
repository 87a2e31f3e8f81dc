package bundle

import (
	"archive/zip"
	"crypto/sha256"
	"fmt"
	"io"
	"iter"
	"maps"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	bundlev1 "paceline/api/gen/paceline/bundle/v1"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/sample"
	"paceline/persistence"
)

const manifestName = "manifest.json"

// maxFileBytes bounds what one file of a bundle may unpack to.
const maxFileBytes = 512 << 20

// What is wrong with a bundle as a file.
var (
	ErrNotABundle = fault.New(fault.Invalid, "bundle.malformed", "This file is not a bundle.")
	ErrFormat     = fault.New(fault.Invalid, "bundle.format", "This bundle was written by a newer version.")
	ErrAltered    = fault.New(fault.Invalid, "bundle.altered", "This bundle is not what its manifest says.")
)

// Bundle is a bundle in memory, its digests checked against the manifest.
type Bundle struct {
	Manifest *bundlev1.Manifest
	journals map[id.Grain]*bundlev1.Journal
	samples  map[streamKey]*bundlev1.Samples
	readable map[string][]byte // course.json and result.json
}

type streamKey struct{ device, stream string }

func journalName(kind, name string) string     { return "journal/" + kind + "/" + name + ".pb" }
func samplesName(device, stream string) string { return "samples/" + device + "/" + stream + ".pb" }

func mapsKeys[K comparable, V any](m map[K]V) iter.Seq[K] { return maps.Keys(m) }

// Read takes a zip apart and checks it against its manifest.
func Read(r io.ReaderAt, size int64) (*Bundle, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, ErrNotABundle.With("%v", err)
	}
	files := map[string][]byte{}
	for _, f := range z.File {
		if files[f.Name] != nil {
			return nil, ErrAltered.With("%s twice", f.Name)
		}
		b, err := unpack(f)
		if err != nil {
			return nil, ErrAltered.With("%s: %v", f.Name, err)
		}
		files[f.Name] = b
	}
	b := &Bundle{Manifest: &bundlev1.Manifest{}, journals: map[id.Grain]*bundlev1.Journal{}, samples: map[streamKey]*bundlev1.Samples{}, readable: map[string][]byte{}}
	if err := protojson.Unmarshal(files[manifestName], b.Manifest); err != nil {
		return nil, ErrNotABundle.With("manifest: %v", err)
	}
	if b.Manifest.Format > Format {
		return nil, ErrFormat.With("format %d, this build reads %d", b.Manifest.Format, Format)
	}
	if err := checkManifest(files[manifestName], b.Manifest); err != nil {
		return nil, err
	}
	delete(files, manifestName)
	for _, f := range b.Manifest.Files {
		content, ok := files[f.Name]
		if sum := sha256.Sum256(content); !ok || string(sum[:]) != string(f.Sha256) || uint64(len(content)) != f.SizeBytes {
			return nil, ErrAltered.With("%s", f.Name)
		}
		delete(files, f.Name)
		if err := b.take(f.Name, content); err != nil {
			return nil, err
		}
	}
	for name := range files {
		return nil, ErrAltered.With("%s is not in the manifest", name)
	}
	if err := checkContainer(z, r, size); err != nil {
		return nil, err
	}
	return b, nil
}

func unpack(f *zip.File) ([]byte, error) {
	if f.UncompressedSize64 > maxFileBytes {
		return nil, fmt.Errorf("%d bytes", f.UncompressedSize64)
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	return io.ReadAll(io.LimitReader(r, maxFileBytes))
}

func (b *Bundle) take(name string, content []byte) error {
	j, s := &bundlev1.Journal{}, &bundlev1.Samples{}
	switch {
	case len(name) > 8 && name[:8] == "journal/":
		if err := proto.Unmarshal(content, j); err != nil || journalName(j.Kind, j.Id) != name {
			return ErrNotABundle.With("%s: %v", name, err)
		}
		for i, r := range j.Records {
			if r.Version != uint64(i+1) {
				return ErrAltered.With("%s: version %d follows %d", name, r.Version, i)
			}
		}
		b.journals[id.Grain{Kind: id.Kind(j.Kind), ID: j.Id}] = j
	case len(name) > 8 && name[:8] == "samples/":
		if err := proto.Unmarshal(content, s); err != nil || samplesName(s.Device, s.StreamId) != name {
			return ErrNotABundle.With("%s: %v", name, err)
		}
		b.samples[streamKey{s.Device, s.StreamId}] = s
	case name == courseName || name == resultName:
		b.readable[name] = content
	default:
		return ErrAltered.With("%s is none of a bundle's files", name)
	}
	return nil
}

// batches decodes a stream's samples.
func (b *Bundle) batches(device, stream string) ([]sample.Batch, error) {
	s := b.samples[streamKey{device, stream}]
	if s == nil {
		return nil, fmt.Errorf("the bundle has no samples of stream %s", stream)
	}
	out := make([]sample.Batch, len(s.Blocks))
	last := uint64(0)
	for i, block := range s.Blocks {
		d, err := persistence.DecodeBlock(block)
		if err != nil {
			return nil, fmt.Errorf("stream %s block %d: %w", stream, i, err)
		}
		if d.Len() == 0 || d.FirstSeq <= last {
			return nil, fmt.Errorf("stream %s: block %d goes back", stream, i)
		}
		last, out[i] = d.LastSeq(), d
	}
	return out, nil
}

// Batches is a stream's samples, for whoever computes again by other means.
func (b *Bundle) Batches(device, stream string) ([]sample.Batch, error) {
	return b.batches(device, stream)
}

// Journal is a grain's events as stored; nil if the bundle has none.
func (b *Bundle) Journal(g id.Grain) *bundlev1.Journal { return b.journals[g] }

// published is a result and the version of its event.
type published struct {
	version uint64
	result  competition.ResultPublished
}

// replay applies a competition's journal through a version (0: all of it).
func replay(j *bundlev1.Journal, through uint64) (*competition.State, []published, error) {
	s := competition.New()
	var results []published
	var parts competition.Joiner
	for _, r := range j.Records {
		if through != 0 && r.Version > through {
			break
		}
		e, err := competitioncodec.Decode(r.Kind, r.Format, r.Payload)
		if err != nil {
			return nil, nil, fmt.Errorf("competition/%s version %d: %w", j.Id, r.Version, err)
		}
		s.Apply(e)
		switch p, ok, err := parts.Take(e); {
		case err != nil:
			return nil, nil, fmt.Errorf("competition/%s version %d: %w", j.Id, r.Version, err)
		case ok:
			results = append(results, published{r.Version, p})
		}
	}
	return s, results, nil
}
