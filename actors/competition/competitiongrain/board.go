package competitiongrain

import (
	"google.golang.org/protobuf/proto"

	"paceline/actors/competition"
	"paceline/actors/leaderboard"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/basis"
	"paceline/domain/rank"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// line is what is known of an entry beyond the journal.
type line struct {
	entry *competition.Entry // of shown

	// What its training last said in this activation.
	held      basis.Basis
	confirmed uint64 // binding version that it knows
	binds     int    // Binds sent since it was heard
	asks      int    // ReportRequests sent since then
	asked     bool   // a new epoch waits for its report
	heardWall unit.InstantMs
	heardNode unit.InstantMs
	echo      echo // waiting for the journal; needs 0: none

	// Where it is. From reports, or from a checkpoint.
	progress   unit.DistanceMm
	progressAt unit.InstantMs // event time
	lat, lon   int32
	offCourse  bool
	curve      leaderboard.Curve

	// The board, as last sent.
	dirty     bool
	spoke     bool   // since the last tick
	place     uint32 // as sent
	placeThen uint32 // when it last spoke
	row       *livev1.BoardRow
}

// forget drops what another training said.
func (l *line) forget() {
	// A waiting echo stays: its report was journalled, and it goes to the training that made it.
	*l = line{entry: l.entry, row: l.row, place: l.place, echo: l.echo, dirty: true}
}

// patience is how many times a training is asked at full rate; one that cannot answer costs a tenth of it from then on.
const patience = 30

// often counts a message to a training, and says whether it is to be sent.
func (l *line) often(sent *int) bool {
	*sent++
	return *sent <= patience || *sent%10 == 0
}

func markOf(l *line) leaderboard.Mark { return leaderboard.Mark{Mm: l.progress, At: l.progressAt} }

// board is the race as it is shown.
type board struct {
	ranks     *rank.Board
	lines     []*line // by entry number
	byNumber  []*line // index: entry number
	interests []*interest
	feeds     []*interest
	track     *competitionv1.Track // as sent to trainings

	at              unit.InstantMs // next tick, wall; 0: nobody looks
	last            unit.InstantMs // last tick
	changed         bool           // a line is dirty
	freshRecovering bool           // the recovering mark has changed
	version         uint64         // of the last update sent
	state           competition.Phase
	leader          uint32
	stale           unit.InstantMs // node clock; since when the board stands still, as last sent
}

func (b *board) line(number uint32) *line {
	if int(number) >= len(b.byNumber) {
		return nil
	}
	return b.byNumber[number]
}

// addLine gives an entry its line.
func (sh *Shell) addLine(e *competition.Entry, now step.Now) {
	b := &sh.board
	l := &line{entry: e, held: e.Basis}
	if sh.shown.Started() && e.Training != "" {
		l.heardWall, l.heardNode = now.Wall, now.Node // offline only after it has had time to report
	}
	for int(e.Number) >= len(b.byNumber) {
		b.byNumber = append(b.byNumber, nil)
	}
	b.byNumber[e.Number] = l
	i := len(b.lines)
	for i > 0 && b.lines[i-1].entry.Number > e.Number {
		i--
	}
	b.lines = append(b.lines, nil)
	copy(b.lines[i+1:], b.lines[i:])
	b.lines[i] = l
	sh.touch(l)
}

// touch puts a line where it now belongs.
func (sh *Shell) touch(l *line) {
	c := sh.contender(l)
	sh.board.ranks.Set(rank.Entry(l.entry.Number), c.Race(sh.base()).Key())
	l.dirty = true
	sh.board.changed = true
}

func (sh *Shell) touchAll() {
	for _, l := range sh.board.lines {
		sh.touch(l)
	}
}

func (sh *Shell) base() leaderboard.Base {
	if b := sh.shown.Definition.RankBy; b != 0 {
		return b
	}
	return leaderboard.Gun
}

// contender is what a line ranks by.
func (sh *Shell) contender(l *line) leaderboard.Contender {
	s, e := sh.shown, l.entry
	c := leaderboard.Contender{Entry: e.Number, Status: e.Status(), Review: e.UnderReview(), GunAt: s.GunOf(e).Us(),
		Penalty: unit.DurationUs(e.Penalty) * 1000, Progress: l.progress}
	c.StartAt = c.GunAt
	if n := len(e.Gates); n > 0 {
		if s.Course.HasStart() && e.Gates[0].Gate == 0 {
			c.StartAt = e.Gates[0].At
		}
		c.Reached, c.Last = int(e.Gates[n-1].Gate)+1, e.Gates[n-1].At
	}
	if c.Status == leaderboard.Finished {
		c.Progress = s.Course.LengthMm()
	}
	return c
}

// tickBoard sends what has changed to the nodes that want it.
func (sh *Shell) tickBoard(now step.Now) []step.Out {
	b := &sh.board
	if b.changed && len(b.interests) > 0 {
		if soon := max(now.Wall, b.last.Add(sh.cfg.BoardTick)); b.at == 0 || soon < b.at {
			b.at = soon
		}
	}
	if b.at == 0 || now.Wall < b.at {
		return nil
	}
	b.at, b.last = 0, now.Wall
	sh.forgetInterests(now)
	if len(b.interests) == 0 {
		return nil
	}
	b.at = now.Wall.Add(4 * sh.cfg.BoardTick) // somebody may go offline, an interest may end
	if b.changed {
		b.at = now.Wall.Add(sh.cfg.BoardTick)
	}
	b.changed = false
	state, stale := sh.shown.PhaseAt(now.Node), sh.staleSince(now)
	rows := sh.changes(now)
	base := b.version
	moved := len(rows) > 0 || state != b.state || b.freshRecovering || stale != b.stale
	if moved && sh.opened && !sh.journalled() {
		b.version++
	}
	b.state, b.stale, b.freshRecovering = state, stale, false
	return sh.updates(now, rows, base, moved)
}

// staleSince is since when the board cannot follow the race, because what happens cannot be stored: an append of this
// race has no outcome, or the whole node's store does not keep up. 0: it follows.
func (sh *Shell) staleSince(now step.Now) unit.InstantMs {
	if sh.journalled() {
		return 0
	}
	since := now.StaleSince
	if at, ok := sh.m.Appending(); ok && now.Wall.Sub(at.Wall) > sh.cfg.StaleAfter && (since == 0 || at.Node < since) {
		since = at.Node
	}
	return since
}

// updates are the messages of one tick: one delta for all who have the one before, one snapshot for the others.
func (sh *Shell) updates(now step.Now, rows []*livev1.BoardRow, base uint64, moved bool) []step.Out {
	b := &sh.board
	epoch, _ := sh.epoch()
	var delta, snapshot *clusterv1.TopicUpdate
	var outs []step.Out
	for _, in := range b.interests {
		u := &delta
		switch {
		case in.fresh:
			if u = &snapshot; *u == nil {
				*u = sh.update(now, epoch, 0, sh.allRows())
			}
		case !moved || !sh.opened || sh.journalled():
			continue
		case delta == nil:
			delta = sh.update(now, epoch, base, rows)
		}
		in.fresh, in.sent = false, sh.boardVersion()
		outs = append(outs, step.ToNode{Node: in.node, Msg: *u})
	}
	return outs
}

func (sh *Shell) update(now step.Now, epoch, base uint64, rows []*livev1.BoardRow) *clusterv1.TopicUpdate {
	s := sh.shown
	m := &livev1.Board{State: livev1.RaceState(sh.board.state), GunAtMs: int64(s.GunAt), AtMs: int64(now.Node), Rows: rows, Entries: uint32(len(sh.board.lines)),
		StaleSinceMs: int64(sh.board.stale)}
	if s.Course != nil {
		m.CourseLengthMm, m.Gates = int64(s.Course.LengthMm()), uint32(len(s.Course.Visits()))
	}
	content, err := proto.Marshal(m)
	if err != nil {
		content = nil // cannot be: numbers and checked texts
	}
	u := &clusterv1.TopicUpdate{Topic: sh.topic(topicBoard), Epoch: epoch, Version: sh.boardVersion(), Base: base, Content: content, Recovering: sh.asking > 0}
	if base == 0 {
		u.Audiences = sh.audiences()
	}
	return u
}

// audiences is what the maps that are made of the board may show. Audiences are numbered as in a topic's cut.
func (sh *Shell) audiences() []*clusterv1.TopicAudience {
	shown := sh.shown.Definition.Shown()
	of := func(n uint32, a competition.Audience) *clusterv1.TopicAudience {
		return &clusterv1.TopicAudience{Audience: n, Position: a.Columns == competition.PositionColumns, DelayMs: int64(a.Delay)}
	}
	return []*clusterv1.TopicAudience{of(0, shown.Public), of(1, shown.Entrant), of(2, competition.Audience{Columns: competition.PositionColumns})}
}

// journalled reports whether the board is a function of the journal alone: before the start list is locked, and when
// the result is official. Any activation then shows the same one, under the journal's version as epoch.
func (sh *Shell) journalled() bool { return sh.shown != nil && !sh.shown.NeedsEpoch() }

// epoch is under what this activation speaks. An activation that opened its epoch long ago begins another one with the
// event that makes the board more than the journal: what others have said since is older.
func (sh *Shell) epoch() (uint64, bool) {
	if sh.m.Ready() && sh.journalled() {
		return sh.shown.Version, true
	}
	e, ok := sh.m.Epoch()
	return max(e, sh.liveSince), ok
}

func (sh *Shell) boardVersion() uint64 {
	if sh.journalled() {
		return 0
	}
	return sh.board.version
}

// turn follows a committed event into or out of the time in which the board is more than the journal.
func (sh *Shell) turn(wasLive bool, version uint64) {
	switch live := !sh.journalled(); {
	case live && !wasLive:
		sh.liveSince = version
	case !live:
		if wasLive {
			for _, l := range sh.board.lines {
				l.still()
				sh.touch(l)
			}
		}
		sh.board.freshen()
	}
}

// still forgets what is not journalled of where the line is.
func (l *line) still() {
	l.progress, l.progressAt, l.lat, l.lon, l.offCourse, l.curve = 0, 0, 0, 0, false, leaderboard.Curve{}
}

// allRows are the rows as last computed, in the order of places.
func (sh *Shell) allRows() []*livev1.BoardRow {
	rows := make([]*livev1.BoardRow, 0, len(sh.board.lines))
	for r := range sh.board.ranks.All() {
		rows = append(rows, sh.board.byNumber[r.Entry].row)
	}
	return rows
}
