package traininggrain

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"paceline/actors/training"
	"paceline/domain/basis"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

const checkpointName = "checkpoint"

// saved is a checkpoint as it is stored. Params is a digest of what the fold depends on besides samples and facts:
// with others it is not used.
type saved struct {
	Params     string
	Checkpoint training.Checkpoint
}

func paramsDigest(p training.Params) string {
	of := struct {
		Streams []training.Stream
		Sport   geo.Sport
		Track   *course.Track
		Gun     unit.InstantMs
		Primary string
		End     *training.End
	}{Streams: p.Streams, Sport: p.Sport, End: p.End}
	if p.Race != nil {
		t := p.Race.Course.Track()
		of.Track, of.Gun, of.Primary = &t, p.Race.Gun, p.Race.Primary
	}
	b, err := json.Marshal(of)
	if err != nil {
		return "" // fits nothing
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// checkpoint writes where the fold stands while it changes. A lost one costs time, never truth.
func (s *Shell) checkpoint(now step.Now) unit.InstantMs {
	if !s.idle() || basis.Equal(s.checkpointed, s.result.Basis) {
		return 0
	}
	if s.checkpointAt == 0 {
		s.checkpointAt = now.Wall
	}
	if at := s.checkpointAt.Add(s.n.CheckpointEvery); now.Wall < at {
		return at
	}
	s.checkpointAt, s.checkpointed = now.Wall, s.result.Basis
	c, ok := s.fold.Checkpoint()
	if !ok {
		return 0
	}
	b, err := json.Marshal(saved{paramsDigest(s.fold.Params()), c})
	if err != nil {
		return 0
	}
	s.do(persistence.PutSnapshotOp{Grain: s.machine.Grain(), Name: checkpointName,
		Snapshot: persistence.Snapshot{Version: s.machine.Committed(), Bytes: b}}, func(step.Now, persistence.Done) {})
	return 0
}

// loadCheckpoint looks for one; anything wrong with it means: begin at the beginning.
func (s *Shell) loadCheckpoint(r *reading) {
	if r.busy {
		return
	}
	r.busy = true
	s.do(persistence.LoadOp{Grain: s.machine.Grain(), Name: checkpointName}, func(now step.Now, d persistence.Done) {
		r.busy = false
		if s.reading != r {
			return
		}
		if d.Err != nil {
			s.failed(now, r, d.Err)
			return
		}
		if l := d.Result.(persistence.Loaded); l.Found {
			c := &saved{}
			if json.Unmarshal(l.Snapshot.Bytes, c) == nil {
				r.found = c
			}
		}
		r.stage = facts
		s.advance(now, r)
	})
}

// restore makes the fold of an activation's first reading.
func (s *Shell) restore(r *reading) {
	p := s.machine.State().Params()
	if r.found != nil && r.found.Params == paramsDigest(p) {
		if f, ok := training.Restore(p, r.found.Checkpoint); ok {
			r.fold = f
		}
	}
	if r.fold == nil {
		r.fold = training.NewFold(p)
	}
	r.reset()
}
