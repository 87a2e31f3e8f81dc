package bundle

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"paceline/actors/competition"
	"paceline/actors/device"
	"paceline/actors/device/devicecodec"
	bundlev1 "paceline/api/gen/paceline/bundle/v1"
	"paceline/api/track"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/sample"
	"paceline/persistence"
)

// Format of the bundles that this build writes.
const Format = 1

// What an export refuses.
var (
	ErrNoCompetition = fault.New(fault.NotFound, "bundle.no_competition", "There is no such competition.")
	ErrNoResult      = fault.New(fault.Conflict, "bundle.no_result", "This competition has not published a result yet.")
)

// writer collects the files of a bundle in order; the manifest comes last, when their digests are known.
type writer struct {
	ctx      context.Context
	store    persistence.Store
	zip      *zip.Writer
	manifest *bundlev1.Manifest
}

// Write exports a competition with a published result.
func Write(ctx context.Context, store persistence.Store, competitionID string, out io.Writer) error {
	w := &writer{ctx: ctx, store: store, zip: zip.NewWriter(out),
		manifest: &bundlev1.Manifest{Format: Format, CompetitionId: competitionID}}
	if err := w.write(competitionID); err != nil {
		return fmt.Errorf("export competition/%s: %w", competitionID, err)
	}
	return nil
}

func (w *writer) write(competitionID string) error {
	journal, err := w.journal(id.Of(id.Competition, competitionID))
	if err != nil {
		return err
	}
	if len(journal.Records) == 0 {
		return ErrNoCompetition
	}
	s, results, err := replay(journal, 0)
	if err != nil {
		return err
	}
	if len(results) == 0 {
		return ErrNoResult
	}
	w.manifest.RulesVersion = s.RulesVersion
	w.manifest.ResultVersion = results[len(results)-1].result.Version
	if err := w.readable(s, journal, results[len(results)-1]); err != nil {
		return err
	}
	if err := w.message(journalName(journal.Kind, journal.Id), journal); err != nil {
		return err
	}
	devices := map[string][]competition.InputStream{}
	for _, e := range s.Entries() {
		if e.Training == "" {
			continue
		}
		j, err := w.journal(id.Grain{Kind: id.Training, ID: e.Training})
		if err != nil {
			return err
		}
		if err := w.message(journalName(j.Kind, j.Id), j); err != nil {
			return err
		}
	}
	for _, r := range results {
		for _, in := range r.result.Inputs {
			for _, st := range in.Streams {
				known := slices.ContainsFunc(devices[st.Device], func(o competition.InputStream) bool { return o.Stream == st.Stream })
				if !known {
					devices[st.Device] = append(devices[st.Device], st)
				}
			}
		}
	}
	for _, d := range slices.Sorted(mapsKeys(devices)) {
		if err := w.device(d, devices[d]); err != nil {
			return err
		}
	}
	return w.close()
}

// device writes a device's journal and the samples of its streams that an input names.
func (w *writer) device(name string, streams []competition.InputStream) error {
	j, err := w.journal(id.Grain{Kind: id.Device, ID: name})
	if err != nil {
		return err
	}
	if err := w.message(journalName(j.Kind, j.Id), j); err != nil {
		return err
	}
	slices.SortFunc(streams, func(a, b competition.InputStream) int { return strings.Compare(a.Stream, b.Stream) })
	for _, st := range streams {
		m, err := w.samples(j, name, st.Stream)
		if err != nil {
			return err
		}
		if err := w.message(samplesName(name, st.Stream), m); err != nil {
			return err
		}
	}
	return nil
}

// samples reads a stream whole: the recording up to the floor, the rows above it.
func (w *writer) samples(j *bundlev1.Journal, dev, stream string) (*bundlev1.Samples, error) {
	m := &bundlev1.Samples{Device: dev, StreamId: stream, Erased: j.Erased}
	if j.Erased {
		return m, nil
	}
	f, err := streamFacts(j, stream, 0)
	if err != nil {
		return nil, err
	}
	person, _, _ := strings.Cut(f.Opening.Training, "/")
	var batches []sample.Batch
	if f.Floor.Through > 0 {
		r, ok, err := w.store.GetRecording(w.ctx, person, f.Opening.Training, f.Floor.Recording)
		switch {
		case errors.Is(err, persistence.ErrErased):
			m.Erased = true
			return m, nil
		case err != nil:
			return nil, err
		case !ok:
			return nil, fmt.Errorf("stream %s: its recording %x is not there: %w", stream, f.Floor.Recording[:4], persistence.ErrCorrupt)
		}
		for _, rs := range r.Streams {
			if rs.Key.Device == dev && rs.Key.Stream == stream {
				batches = cutThrough(rs.Batches, f.Floor.Through)
			}
		}
	}
	m.Floor = f.Floor.Through
	rows, err := w.store.ReadSeries(w.ctx, persistence.SeriesQuery{From: f.Floor.Through + 1, Skips: spans(f.Skips),
		Key: persistence.SeriesKey{Device: dev, Stream: stream, Subject: person}})
	if errors.Is(err, persistence.ErrErased) {
		m.Erased = true
		return m, nil
	}
	if err != nil {
		return nil, err
	}
	m.Conflicts = rows.Conflicts
	for _, b := range persistence.Recut(append(batches, rows.Batches...)) {
		m.Blocks = append(m.Blocks, persistence.AppendBlock(nil, &b))
	}
	return m, nil
}

// cutThrough leaves out what lies above a seq.
func cutThrough(batches []sample.Batch, through uint64) []sample.Batch {
	var out []sample.Batch
	for i := range batches {
		b := &batches[i]
		switch {
		case b.FirstSeq > through:
		case b.LastSeq() <= through:
			out = append(out, *b)
		default:
			out = append(out, b.Slice(0, int(through-b.FirstSeq+1)))
		}
	}
	return out
}

func spans(in []device.Span) []persistence.Span {
	out := make([]persistence.Span, len(in))
	for i, s := range in {
		out[i] = persistence.Span{From: s.From, To: s.To}
	}
	return out
}

func (w *writer) journal(g id.Grain) (*bundlev1.Journal, error) {
	j := &bundlev1.Journal{Kind: string(g.Kind), Id: g.ID}
	for after := uint64(0); ; {
		records, more, err := w.store.ReadJournal(w.ctx, g, after, 0)
		if errors.Is(err, persistence.ErrErased) {
			j.Records, j.Erased = nil, true
			return j, nil
		}
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			after = r.Version
			j.Records = append(j.Records, &bundlev1.Record{Version: r.Version, Kind: r.Kind, Format: r.Format, Payload: r.Payload,
				AtMs: int64(r.Meta.At), By: r.Meta.By, CommandId: r.Meta.CommandID})
		}
		if !more {
			return j, nil
		}
	}
}

// readable writes what people look at first.
func (w *writer) readable(s *competition.State, j *bundlev1.Journal, newest published) error {
	course, err := protojson.MarshalOptions{Multiline: true}.Marshal(track.ToProto(s.Definition.Track))
	if err != nil {
		return err
	}
	if err := w.file(courseName, course); err != nil {
		return err
	}
	m, err := newest.message(j)
	if err != nil {
		return err
	}
	result, err := protojson.MarshalOptions{Multiline: true}.Marshal(m)
	if err != nil {
		return err
	}
	return w.file(resultName, result)
}

func (w *writer) message(name string, m proto.Message) error {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return err
	}
	return w.file(name, b)
}

func (w *writer) file(name string, b []byte) error {
	sum := sha256.Sum256(b)
	w.manifest.Files = append(w.manifest.Files, &bundlev1.File{Name: name, Sha256: sum[:], SizeBytes: uint64(len(b))})
	return w.put(name, b)
}

func (w *writer) put(name string, b []byte) error {
	f, err := w.zip.CreateHeader(header(name))
	if err != nil {
		return err
	}
	_, err = io.Copy(f, bytes.NewReader(b))
	return err
}

func (w *writer) close() error {
	b, err := protojson.MarshalOptions{Multiline: true}.Marshal(w.manifest)
	if err != nil {
		return err
	}
	if err := w.put(manifestName, b); err != nil {
		return err
	}
	return w.zip.Close()
}

// streamFacts projects a device's journal through a version (0: all of it) for one stream.
func streamFacts(j *bundlev1.Journal, stream string, through uint64) (*device.StreamFacts, error) {
	f := device.NewStreamFacts(stream)
	for _, r := range j.Records {
		if through != 0 && r.Version > through {
			break
		}
		e, err := devicecodec.Decode(r.Kind, r.Format, r.Payload)
		if err != nil {
			return nil, fmt.Errorf("device/%s version %d: %w", j.Id, r.Version, err)
		}
		f.Apply(r.Version, e)
	}
	return f, nil
}
