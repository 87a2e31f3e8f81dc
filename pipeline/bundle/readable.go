package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"paceline/actors/competition/competitioncodec"
	bundlev1 "paceline/api/gen/paceline/bundle/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	"paceline/api/track"
)

// The files that people look at first. They say nothing of their own: a bundle in which they say something else
// than the journal would show one result and prove another.
const (
	courseName = "course.json"
	resultName = "result.json"
)

// told is the course and the newest result as the journal has them.
func told(j *bundlev1.Journal) (map[string]proto.Message, error) {
	s, results, err := replay(j, 0)
	if err != nil {
		return nil, err
	}
	if len(results) == 0 {
		return nil, ErrNoResult
	}
	m, err := results[len(results)-1].message(j)
	if err != nil {
		return nil, err
	}
	return map[string]proto.Message{courseName: track.ToProto(s.Definition.Track), resultName: m}, nil
}

// message is a result as it was journalled, with the rows and inputs of its parts.
func (p published) message(j *bundlev1.Journal) (*competitionv1.ResultPublished, error) {
	m := &competitionv1.ResultPublished{}
	if err := proto.Unmarshal(j.Records[p.version-1].Payload, m); err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	if m.Parts > 0 {
		m = competitioncodec.ResultToProto(p.result)
	}
	return m, nil
}

// checkReadable compares course.json, result.json and the manifest's numbers with the competition's journal.
func (b *Bundle) checkReadable(j *bundlev1.Journal, src *Source) error {
	want, err := told(j)
	if err != nil {
		return err
	}
	for _, name := range []string{courseName, resultName} {
		says := want[name].ProtoReflect().New().Interface()
		if err := protojson.Unmarshal(b.readable[name], says); err != nil {
			return ErrAltered.With("%s: %v", name, err)
		}
		if !proto.Equal(says, want[name]) {
			return ErrAltered.With("%s does not say what the journal says", name)
		}
	}
	if b.Manifest.RulesVersion != src.State.RulesVersion || b.Manifest.ResultVersion != src.Result.Version {
		return ErrAltered.With("the manifest names result %d by rules %d, the journal %d by %d", b.Manifest.ResultVersion,
			b.Manifest.RulesVersion, src.Result.Version, src.State.RulesVersion)
	}
	return nil
}

// checkManifest refuses a manifest with a byte in it that says nothing, but for white space: base64 and JSON have
// more than one way to write a value, and no digest covers this file.
func checkManifest(content []byte, m *bundlev1.Manifest) error {
	again, err := protojson.Marshal(m)
	if err != nil {
		return ErrNotABundle.With("manifest: %v", err)
	}
	var was, is bytes.Buffer
	if json.Compact(&was, content) != nil || json.Compact(&is, again) != nil || !bytes.Equal(was.Bytes(), is.Bytes()) {
		return ErrAltered.With("%s is not written as this program writes it", manifestName)
	}
	if m.Format == 0 {
		return ErrNotABundle.With("format 0")
	}
	return nil
}
