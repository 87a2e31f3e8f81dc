package competitiongrain

import (
	"slices"

	"paceline/actors/competition"
	"paceline/actors/leaderboard"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/rank"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// changes brings every row up to date and returns those that are new, in the order of places.
func (sh *Shell) changes(now step.Now) []*livev1.BoardRow {
	b := &sh.board
	front := sh.front()
	moved := front.entry() != b.leader
	b.leader = front.entry()
	behind := sh.behindOffline(now)
	var rows []*livev1.BoardRow
	for r := range b.ranks.All() {
		l := b.byNumber[r.Entry]
		place := uint32(0)
		if l.entry.Status().Class() == 0 && sh.shown.GunAt != 0 {
			place = uint32(r.Place)
		}
		if l.spoke || l.placeThen == 0 {
			l.placeThen, l.spoke = place, false
		}
		offline := sh.offline(now, l)
		doubt := place != 0 && !offline && behind != 0 && place >= behind
		if l.row != nil && !l.dirty && !moved && l.place == place && l.row.Unconfirmed == doubt && (l.row.OfflineSinceMs != 0) == offline {
			continue
		}
		l.row, l.place, l.dirty = sh.row(l, place, front), place, false
		l.row.Unconfirmed = doubt
		if offline {
			l.row.OfflineSinceMs = int64(l.heardNode)
		}
		rows = append(rows, l.row)
	}
	return rows
}

// offline: a racing entry whose training has been silent for too long. Late samples of it may still come.
func (sh *Shell) offline(now step.Now, l *line) bool {
	return l.entry.Status() == leaderboard.Racing && l.heardWall != 0 && !l.entry.TrainingFinished &&
		now.Wall.Sub(l.heardWall) > sh.cfg.OfflineAfter && sh.shown.PhaseAt(now.Node) == competition.PhaseRunning
}

// behindOffline is the best place that an offline entry had when it last spoke: whoever stands there now, or behind it,
// may in truth stand elsewhere.
func (sh *Shell) behindOffline(now step.Now) uint32 {
	var best uint32
	for _, l := range sh.board.lines {
		if sh.offline(now, l) && l.placeThen != 0 && (best == 0 || l.placeThen < best) {
			best = l.placeThen
		}
	}
	return best
}

// front is the leader, for gaps.
type front struct {
	line  *line
	c     leaderboard.Contender
	trace leaderboard.Trace
}

func (f front) entry() uint32 {
	if f.line == nil {
		return 0
	}
	return f.line.entry.Number
}

func (sh *Shell) front() front {
	first, ok := sh.board.ranks.At(0)
	if !ok || sh.shown.GunAt == 0 {
		return front{}
	}
	l := sh.board.byNumber[first.Entry]
	f := front{line: l, c: sh.contender(l)}
	if f.c.Status.Class() != 0 {
		return front{}
	}
	start := f.c.StartAt.CutMs()
	marks := slices.DeleteFunc(l.curve.AppendTo(sh.gateMarks(l, f.c)), func(m leaderboard.Mark) bool { return m.At < start })
	f.trace = leaderboard.TraceOf(marks)
	return f
}

// gateMarks are the places and times that the gates prove, beginning with the start.
func (sh *Shell) gateMarks(l *line, c leaderboard.Contender) []leaderboard.Mark {
	visits := sh.shown.Course.Visits()
	marks := []leaderboard.Mark{{Mm: 0, At: c.StartAt.CutMs()}}
	for _, g := range l.entry.Gates {
		marks = append(marks, leaderboard.Mark{Mm: visits[g.Gate].AtMm, At: g.At.CutMs()})
	}
	return marks
}

// row is one entry as the board shows it.
func (sh *Shell) row(l *line, place uint32, f front) *livev1.BoardRow {
	e := l.entry
	c := sh.contender(l)
	r := &livev1.BoardRow{
		Entry: e.Number, Place: place, GatesPassed: uint32(c.Reached), ProgressMm: int64(c.Progress), Status: livev1.EntryStatus(c.Status),
		UnderReview: c.Review, OffCourse: l.offCourse, LatE7: l.lat, LonE7: l.lon, Heat: e.Heat, Category: e.Category, PositionAtMs: int64(l.progressAt),
	}
	if c.Reached > 0 {
		r.GateAtMs = int64(c.Last.CutMs())
	}
	if c.Status == leaderboard.Finished {
		// Gun time is cut, as the gate's instant is, so that both agree; net time is a difference and rounded.
		r.GunMs, r.NetMs = int64(c.Time(leaderboard.Gun))/1000, int64(c.Time(leaderboard.Net).RoundMs())
	}
	if place != 0 && f.line != nil && f.line != l {
		r.GapMs, r.GapMm = sh.gap(l, c, f)
	}
	return r
}

// gap is the way to the leader: between results once both have one, else at one place on the course, else in length.
func (sh *Shell) gap(l *line, c leaderboard.Contender, f front) (ms, mm int64) {
	base := sh.base()
	if c.Status == leaderboard.Finished && f.c.Status == leaderboard.Finished {
		return int64((c.Time(base) - f.c.Time(base)).RoundMs()), 0
	}
	me := markOf(l)
	if n := len(l.entry.Gates); me.At == 0 && n > 0 {
		g := l.entry.Gates[n-1]
		me = leaderboard.Mark{Mm: sh.shown.Course.Visits()[g.Gate].AtMm, At: g.At.CutMs()}
	}
	if me.At == 0 {
		return 0, int64(max(0, f.c.Progress-c.Progress))
	}
	g := leaderboard.GapTo(f.trace, me, headStart(base, c, f.c))
	return int64(g.Ms), int64(g.Behind)
}

// headStart is how much earlier than c the leader's time began.
func headStart(base leaderboard.Base, c, leader leaderboard.Contender) unit.DurationMs {
	if base == leaderboard.Net {
		return c.StartAt.Sub(leader.StartAt).RoundMs()
	}
	return c.GunAt.Sub(leader.GunAt).RoundMs()
}

// Standing is where an entry stands on the live board; for tests and benchmarks.
func (sh *Shell) standing(entry uint32) int {
	place, _ := sh.board.ranks.Place(rank.Entry(entry))
	return place
}
