package competitiongrain

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// checkpointName is under which the board's cache lies.
const checkpointName = "board"

// maxLoads is how often the cache is asked for; without it the trainings' reports fill the board.
const maxLoads = 5

// checkpoint writes where everybody is, now and then. Losing it costs a second of an empty board, never truth.
func (sh *Shell) checkpoint(now step.Now) []step.Out {
	if !sh.boardDirty || !sh.shown.Started() {
		sh.checkpointAt = 0 // else the pulse would wait for it for ever, without a pause
		return nil
	}
	if sh.checkpointAt == 0 {
		sh.checkpointAt = now.Wall.Add(sh.cfg.CheckpointEvery)
	}
	if now.Wall < sh.checkpointAt {
		return nil
	}
	sh.checkpointAt, sh.boardDirty = 0, false
	return []step.Out{persistence.Do{Tag: tagPutBoard, Op: persistence.PutSnapshotOp{Grain: sh.cfg.Grain, Name: checkpointName,
		Snapshot: persistence.Snapshot{Version: sh.m.Committed(), Bytes: sh.encodeBoard()}}}}
}

// encodeBoard is the rules version and one length-delimited report for each line, as far as the board needs it. Where a
// person was is not in it: a race's cells are not sealed, and the training says it again.
func (sh *Shell) encodeBoard() []byte {
	b := protowire.AppendVarint(nil, uint64(sh.shown.RulesVersion))
	for _, l := range sh.board.lines {
		if l.progressAt == 0 {
			continue
		}
		m, err := proto.Marshal(&competitionv1.Report{Entry: l.entry.Number, Training: l.entry.Training, ProgressMm: int64(l.progress),
			ProgressAtMs: int64(l.progressAt), OffCourse: l.offCourse})
		if err != nil {
			continue
		}
		b = protowire.AppendBytes(b, m)
	}
	return b
}

// boardLoaded fills the lines that nobody has reported on yet. Only what is shown comes from a checkpoint: the basis to
// which reports are held is that of the journal.
func (sh *Shell) boardLoaded(now step.Now, d persistence.Done) []step.Out {
	if d.Err != nil {
		if sh.loads >= maxLoads || sh.m.Stopped() {
			return nil
		}
		return []step.Out{sh.loadBoard()}
	}
	l, ok := d.Result.(persistence.Loaded)
	if !ok || !l.Found || sh.shown == nil {
		return nil
	}
	b := l.Snapshot.Bytes
	rules, n := protowire.ConsumeVarint(b)
	if n < 0 || rules != uint64(sh.shown.RulesVersion) {
		return nil
	}
	for b = b[n:]; len(b) > 0; b = b[n:] {
		var one []byte
		if one, n = protowire.ConsumeBytes(b); n < 0 {
			return nil
		}
		var m competitionv1.Report
		if proto.Unmarshal(one, &m) == nil {
			sh.restore(&m)
		}
	}
	return nil
}

func (sh *Shell) restore(m *competitionv1.Report) {
	l := sh.board.line(m.GetEntry())
	if l == nil || l.progressAt != 0 || l.entry.Training != m.GetTraining() {
		return
	}
	l.progress, l.progressAt = unit.DistanceMm(m.GetProgressMm()), unit.InstantMs(m.GetProgressAtMs())
	l.offCourse = m.GetOffCourse()
	sh.touch(l)
}
